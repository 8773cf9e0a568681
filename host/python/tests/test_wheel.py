"""A wheel that is installed: `CLICKMILL_EXECUTABLE` is not set here, and no clone is around."""

import subprocess

import clickmill


def test_the_executable_of_the_wheel_is_found_and_finds_what_comes_with_it(tmp_path):
    executable = clickmill.executable()
    assert (executable.parent / "clickmill-sql").is_file()
    told = subprocess.run([executable, "validate", "clicks", "--set", "source.uri=clicks.ndjson"],
                          cwd=tmp_path, capture_output=True, text=True, env={"CLICKMILL_MASK_KEY": "k" * 32})
    assert "share/clickmill/host/pipelines/clicks.toml" in told.stderr, told.stderr
