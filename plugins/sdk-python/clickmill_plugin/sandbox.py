"""What a component lacks: where Python would ask the system for it, which ends the call without a word, an exception
says so."""

import _io
import builtins
import codecs
import contextlib
import datetime
import encodings
import gc
import io
import os
import pkgutil
import sys
import time
import types

from . import log
from .errors import is_of


# Encodings that are known in a component: Python looks for others in files.
for _module in pkgutil.iter_modules(encodings.__path__):
    try:
        codecs.lookup(_module.name)
    except LookupError:
        # It is none, or another system's.
        pass


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


def _no_files(file=".", *_, **__):
    raise PermissionError(f"a plugin has no files: read `{file}` at the top of the file")


def _no_clock(*_, **__):
    raise PermissionError("a plugin has no clock: `row.ingest_time` is its now")


def _no_chance(*_, **__):
    raise PermissionError("a plugin has no randomness: seed `random` with a value of the row")


# What tells the time of now, and what does so where it is given fewer arguments than these.
_CLOCKS = """time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time
thread_time_ns clock_gettime clock_gettime_ns""".split()
_CLOCKS_BY_DEFAULT = {"localtime": 1, "gmtime": 1, "ctime": 1, "asctime": 1, "strftime": 2}

# What libraries are told, in seconds: the same as in other languages.
_NOW = 1

# What makes a name of the time, or of chance, which would be the same in each call.
_NAMES = "uuid1 uuid6 uuid7".split()

# What asks for files by their names.
_FILES = """access chdir chmod getcwd link listdir lstat mkdir open readlink remove rename replace rmdir scandir stat
statvfs symlink truncate unlink utime""".split()


def _clock(home: str, otherwise):
    """Tells the author that there is no clock. A library, which asks for what it writes into a log, or for a default
    that it does not use, is told a time that is always the same."""

    def told(*arguments, **named):
        frame = sys._getframe(1)
        # What is called for whoever asks: of this file, or generated.
        while frame.f_code.co_filename == __file__ or frame.f_code.co_filename.startswith("<"):
            frame = frame.f_back
        return (_no_clock if is_of(home, frame.f_code.co_filename) else otherwise)(*arguments, **named)

    return told


def _unless_given(least: int, function, otherwise):
    def given(*arguments, **named):
        enough = len(arguments) >= least and arguments[least - 1] is not None
        return (function if enough else otherwise)(*arguments, **named)

    return given


# Of levels that are as high at least.
_LEVELS = ((40, log.error), (30, log.warn), (20, log.info))


def _logs(own):
    """A handler's function, which would print a record of `logging`: it goes to the log at its level."""

    def emit(self, record):
        if not (isinstance(self.stream, _Output) or self.stream in (sys.__stdout__, sys.__stderr__)):
            return own(self, record)
        try:
            write = next((write for least, write in _LEVELS if record.levelno >= least), log.debug)
            write(self.format(record))
        except Exception as error:
            # One line, where `logging` itself prints two stacks.
            place = f"({record.filename}, line {record.lineno})"
            log.warn(f"a record can't be told: {type(error).__name__}: {error} {place}")

    return emit


def _take_from_holders(instead) -> None:
    """The same for what holds such a function: a default of a parameter or of a dataclass, or an attribute of a class."""
    known = {id(function): other for function, other in instead.items()}
    objects = gc.get_objects()
    functions = [one for one in objects if isinstance(one, types.FunctionType)]
    # Those of this file call what they stand for.
    own = {id(cell) for one in functions if one.__module__ == __name__ for cell in one.__closure__ or ()}
    for one in functions:
        if one.__defaults__ and one.__module__ != __name__:
            one.__defaults__ = tuple(known.get(id(value), value) for value in one.__defaults__)
        for name, value in (one.__kwdefaults__ or {}).items():
            one.__kwdefaults__[name] = known.get(id(value), value)
        for cell in one.__closure__ or ():
            with contextlib.suppress(ValueError):
                if id(cell) not in own and id(cell.cell_contents) in known:
                    cell.cell_contents = known[id(cell.cell_contents)]
    for kind in objects:
        if isinstance(kind, type):
            for name, value in list(vars(kind).items()):
                if id(value) in known:
                    with contextlib.suppress(TypeError):
                        setattr(kind, name, staticmethod(known[id(value)]))


def bereft(home: str) -> None:
    """Takes clocks, chance and files away, when a component was imported: also from modules that have imported them
    by name. `home` is where the author's own modules are."""
    instead = {time.sleep: _no_clock}
    for name in _CLOCKS:
        if hasattr(time, name):
            now = _NOW * 10**9 if name.endswith("_ns") else float(_NOW)
            instead[getattr(time, name)] = _clock(home, lambda *_, now=now: now)
    parts = time.gmtime(_NOW)
    for name, least in _CLOCKS_BY_DEFAULT.items():
        function = getattr(time, name)
        now = _NOW if name in ("localtime", "gmtime", "ctime") else parts

        def by_default(*given, function=function, kept=least - 1, now=now):
            return function(*given[:kept], now)

        instead[function] = _unless_given(least, function, _clock(home, by_default))
    instead[os.urandom] = _no_chance
    uuid = sys.modules.get("uuid")
    instead.update((getattr(uuid, name), _no_chance) for name in _NAMES if hasattr(uuid, name))
    random = sys.modules.get("random")
    if random is not None:
        own = random.seed
        random.Random.seed = _unless_given(2, random.Random.seed, _no_chance)
        instead[own] = random._inst.seed
    files = {getattr(os, name): _no_files for name in _FILES if hasattr(os, name)}
    for module in list(sys.modules.values()):
        # What Python itself imports yet, it finds by this one.
        known = instead if module is sys.modules[os.name] else instead | files
        for name, value in list(getattr(module, "__dict__", {}).items()):
            try:
                setattr(module, name, known[value])
            except Exception:
                # It stays: most is nothing of that, and what is of no hash can't even be looked up.
                pass
    _take_from_holders(instead)
    # A type that is not written in Python has its functions in a dict that only this finds.
    utc = datetime.timezone.utc
    for kind, name, now in (
        (datetime.datetime, "now", lambda of, tz=None: of.fromtimestamp(_NOW, tz)),
        (datetime.datetime, "utcnow", lambda of: of.fromtimestamp(_NOW, utc).replace(tzinfo=None)),
        (datetime.date, "today", lambda of: of.fromtimestamp(_NOW)),
    ):
        (functions,) = gc.get_referents(kind.__dict__)
        functions[name] = classmethod(_clock(home, now))
    getattr(sys, "_clear_internal_caches", getattr(sys, "_clear_type_cache", int))()
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.StreamHandler.emit = _logs(logging.StreamHandler.emit)


def alone() -> None:
    """Sees to it in an instance of the component."""
    if isinstance(sys.stdout, _Output):
        return
    sys.stdout, sys.stderr = _Output(log.info), _Output(log.warn)
    sys.meta_path[:] = [_NoImports]
    builtins.open = io.open = _io.open = io.open_code = _io.open_code = _no_files
