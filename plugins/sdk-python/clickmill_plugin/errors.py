"""How an exception is told: with the line of the author's at which it was."""

from __future__ import annotations

import os
import types

_OWN = os.path.dirname(__file__)

# What has more letters stands behind its line, since the host cuts a long message at its end.
_LONG = 200


def home(frame: types.FrameType) -> str:
    """The folder of the modules among which the one of that frame is."""
    folder = frame.f_code.co_filename
    parts = frame.f_globals.get("__name__", "").count(".") + 1
    for _ in range(parts + (os.path.basename(folder) == "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


def is_of(home: str, file: str) -> bool:
    """Whether a file lies there, and is neither the SDK's nor, as in an environment that lies there too, installed."""
    below = file.removeprefix(home + os.sep)
    return below != file and os.path.dirname(file) != _OWN and "site-packages" not in below.split(os.sep)


def told(error: BaseException, home: str) -> str:
    """An exception, with the last line of the author's that it left from, whose modules are there: a library that the
    author has called tells by its own what it looks like inside. Where there is none, it is the last one outside the
    SDK."""
    text = type(error).__name__
    try:
        # The text of a KeyError has quotation marks of its own.
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        text = f"{text}: {message}".removesuffix(": ")
    except BaseException:
        # Its own `__str__` fails.
        text = f"{text}, whose text can't be told"
    at, rank = None, 0
    # There may be a thousand calls, of few files.
    ranks = {}
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file not in ranks:
            is_outside = os.path.dirname(file) != _OWN and not file.startswith("<")
            ranks[file] = 2 if is_of(home, file) else int(is_outside)
        if ranks[file] and ranks[file] >= rank:
            at, rank = trace, ranks[file]
        trace = trace.tb_next
    line = at and f"({os.path.basename(at.tb_frame.f_code.co_filename)}, line {at.tb_lineno})"
    return " ".join(filter(None, (line, text) if len(text) > _LONG else (text, line)))
