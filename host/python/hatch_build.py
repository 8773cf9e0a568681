"""What the wheel has beside the Python modules: the executables, and what comes with them.

Where `CLICKMILL_PACKED` names a folder that `.ci/pack` has made, the wheel carries what is in there, and nothing
is built. Else cargo builds the executables first: from the clone around this folder, or from the sources that the
sdist has in `source`.
"""

import os
import pathlib
import platform
import re
import subprocess
import sysconfig

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

EXECUTABLES = ["clickmill", "clickmill-sql"]
SHARED = ["host", "plugins", "schemas", "sql", "LICENSE", "THIRD-PARTY.txt"]
# The oldest that Rust's own library runs with.
OLDEST_GLIBC = 17


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        here = pathlib.Path(self.root)
        source = here / "source"
        if not source.is_dir():
            source = here.parent.parent
        if self.target_name == "sdist":
            listed = subprocess.run(
                ["git", "ls-files", "-z"], cwd=source, check=True, stdout=subprocess.PIPE, text=True
            )
            names = [name for name in listed.stdout.split("\0") if name and not name.startswith("host/python/")]
            build_data["force_include"].update({str(source / name): f"source/{name}" for name in names})
            return
        # `pip install -e`: the modules alone, for work on them.
        if version == "editable":
            return
        packed = os.environ.get("CLICKMILL_PACKED")
        packed = pathlib.Path(packed) if packed else self.build(source)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag([packed / name for name in EXECUTABLES])}"
        build_data["shared_scripts"] = {str(packed / name): name for name in EXECUTABLES}
        # Where the executable looks for it, beside its `bin`.
        build_data["shared_data"] = {str(packed / name): f"share/clickmill/{name}" for name in SHARED}

    def build(self, source):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", source / "target"))
        subprocess.run(
            ["cargo", "build", "--profile", "dist", "--locked", "-p", "clickmill", "-p", "clickmill-sql"],
            cwd=source,
            check=True,
        )
        packed = target / "packed"
        subprocess.run([source / ".ci/pack", packed, *(target / "dist" / name for name in EXECUTABLES)], check=True)
        return packed


def platform_tag(executables):
    """The tag of the oldest systems that the executables run on, by the newest glibc whose symbols they want."""
    if platform.system() != "Linux":
        return sysconfig.get_platform().replace("-", "_").replace(".", "_")
    wanted = [int(minor) for path in executables for minor in re.findall(rb"GLIBC_2\.(\d+)", path.read_bytes())]
    if not wanted:
        raise SystemExit(f"{executables} are not linked with glibc: there is no tag for them")
    return f"manylinux_2_{max(OLDEST_GLIBC, *wanted)}_{platform.machine()}"
