"""Where the executable is."""

from __future__ import annotations

import os
import pathlib
import shutil
import sysconfig

from ._errors import ClickmillError

_NAME = "clickmill"
#: The environment variable that names another executable.
VARIABLE = "CLICKMILL_EXECUTABLE"


def executable() -> pathlib.Path:
    """The path of the executable ``clickmill``.

    It is the one that ``CLICKMILL_EXECUTABLE`` names, else the one that was installed with this package, else
    the first on the path.
    """
    if named := os.environ.get(VARIABLE):
        return pathlib.Path(named)
    above = pathlib.Path(__file__).resolve().parents[1]
    folders = [
        sysconfig.get_path("scripts"),
        # `pip install --user`, `pip install --target`.
        sysconfig.get_path("scripts", scheme=sysconfig.get_preferred_scheme("user")),
        str(above / "bin"),
    ]
    for folder in folders:
        if (found := pathlib.Path(folder) / _NAME).is_file():
            return found
    if on_path := shutil.which(_NAME):
        return pathlib.Path(on_path)
    raise ClickmillError(
        f"there is no `{_NAME}` in {', '.join(f'`{folder}`' for folder in folders)}, or on the path",
        hint=f"install the wheel, which has it, or set {VARIABLE}",
    )
