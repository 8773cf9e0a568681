"""What a component lacks: where Python would ask the system for it, which ends the call without a word, an exception
says so."""

import builtins
import codecs
import io
import sys
import time

from . import log


# Encodings that are known in a component; Python looks others up in files.
ENCODINGS = """ascii cp1252 idna iso8859-15 latin-1 punycode unicode_escape utf-8-sig utf-16 utf-16-be utf-16-le utf-32
utf-32-be utf-32-le""".split()
for _name in ENCODINGS:
    codecs.lookup(_name)


class _Output(io.TextIOBase):
    """Standard output or error: its lines are lines of the log."""

    def __init__(self, write):
        self._write, self._line = write, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._write(line)
        return len(text)


class _NoImports:
    """Finds no module."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        raise ImportError(f"`{name}` is imported too late: import it at the top of the file", name=name)


def _no_files(file, *_, **__):
    raise PermissionError(f"a plugin has no files: read `{file}` at the top of the file")


def _no_clock():
    raise PermissionError("a plugin has no clock: `row.ingest_time` is its now")


def alone() -> None:
    """Sees to it in an instance of the component."""
    if isinstance(sys.stdout, _Output):
        return
    sys.stdout, sys.stderr = _Output(log.info), _Output(log.warn)
    sys.meta_path[:] = [_NoImports]
    builtins.open = io.open = _no_files
    time.time = time.time_ns = time.monotonic = time.perf_counter = _no_clock
