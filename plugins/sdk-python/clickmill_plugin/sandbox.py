"""What a component lacks: where Python would ask the system for it, which ends the call without a word, an exception
says so."""

import builtins
import codecs
import datetime
import gc
import io
import os
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


def _no_clock(*_, **__):
    raise PermissionError("a plugin has no clock: `row.ingest_time` is its now")


def _no_chance(*_, **__):
    raise PermissionError("a plugin has no randomness: seed `random` with a value of the row")


# What tells the time of now, and what does so where it is given fewer arguments than these.
_CLOCKS = """time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time
thread_time_ns clock_gettime clock_gettime_ns sleep""".split()
_CLOCKS_BY_DEFAULT = {"localtime": 1, "gmtime": 1, "ctime": 1, "asctime": 1, "strftime": 2}


def _unless_given(least: int, function, otherwise):
    def given(*arguments, **named):
        enough = len(arguments) >= least and arguments[least - 1] is not None
        return (function if enough else otherwise)(*arguments, **named)

    return given


def bereft() -> None:
    """Takes clocks and chance away, when a component was imported: also from modules that have imported them by name."""
    instead = {getattr(time, name): _no_clock for name in _CLOCKS if hasattr(time, name)}
    for name, least in _CLOCKS_BY_DEFAULT.items():
        function = getattr(time, name)
        instead[function] = _unless_given(least, function, _no_clock)
    instead[os.urandom] = _no_chance
    random = sys.modules.get("random")
    if random is not None:
        own = random.seed
        random.Random.seed = _unless_given(2, random.Random.seed, _no_chance)
        instead[own] = random._inst.seed
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            try:
                setattr(module, name, instead[value])
            except Exception:
                # It stays: most is nothing of that, and what is of no hash can't even be looked up.
                pass
    # A type that is not written in Python has its functions in a dict that only this finds.
    for kind, names in ((datetime.datetime, ("now", "utcnow")), (datetime.date, ("today",))):
        (functions,) = gc.get_referents(kind.__dict__)
        functions.update(dict.fromkeys(names, classmethod(_no_clock)))
    getattr(sys, "_clear_internal_caches", getattr(sys, "_clear_type_cache", int))()


def alone() -> None:
    """Sees to it in an instance of the component."""
    if isinstance(sys.stdout, _Output):
        return
    sys.stdout, sys.stderr = _Output(log.info), _Output(log.warn)
    sys.meta_path[:] = [_NoImports]
    builtins.open = io.open = _no_files
