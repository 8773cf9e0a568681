"""Runs the Python of the README, each block by itself, in a folder with what they name."""

import re
import shutil
import subprocess
import sys

import pytest

from conftest import HERE, PIPELINES

README = (HERE.parent / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_readme_shows_runs(block, files, tmp_path, monkeypatch):
    # As those that come with clickmill; they are not beside the executable of a build.
    monkeypatch.setenv("CLICKMILL_SHARE", str(PIPELINES.parents[1]))
    shutil.copy(files[0], tmp_path / "clicks.ndjson")
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_there_are_blocks():
    assert len(BLOCKS) == 4
