"""One running ``clickmill exec``."""

from __future__ import annotations

import atexit
import collections
import contextlib
import fcntl
import logging
import signal
import subprocess
import tempfile
import termios
import threading
import typing
import weakref

import pyarrow as pa

from . import _wire
from ._config import Settings
from ._errors import ClickmillError, ProcessDied
from ._executable import executable
from ._wire import Frame, Kind

_LOG = logging.getLogger("clickmill")
#: Lines of what a process said last, for the error where it has died.
_LAST_WORDS = 20
#: Of an answer, so much is kept in memory, and more in a file.
_IN_MEMORY_BYTES = 256 << 20
#: How long a process may take to end once its input has.
_PATIENCE_SECS = 10
#: Those by which it says that something is wrong. Others are those of a process that has died.
_EXIT_CODES = (1, 2, 3)

_running: weakref.WeakSet[Process] = weakref.WeakSet()


class Answered(typing.NamedTuple):
    """What a process has answered to one element."""

    #: Frames of rows and letters, in order, read one after the other.
    frames: typing.Iterator[Frame]
    #: The body of the frame that ended it, ``counts`` or ``objects``.
    counts: dict[str, typing.Any]


class Process:
    """A process, from its hello to its end. One thread at a time may use it."""

    def __init__(self, settings: Settings) -> None:
        command = [str(executable()), "exec", *settings.arguments()]
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=settings.environment(),
                # Ctrl-C is for the engine: it closes the pipe.
                start_new_session=True,
            )
        # Of a null byte in an argument or a variable it is no error of the system's.
        except (OSError, ValueError) as error:
            code = 3 if isinstance(error, OSError) else 2
            raise ClickmillError(f"cannot start `{command[0]}`", causes=[str(error)], exit_code=code) from error
        assert self._child.stdin and self._child.stdout and self._child.stderr
        self._input, self._output, self._talk = self._child.stdin, self._child.stdout, self._child.stderr
        self._said: collections.deque[str] = collections.deque(maxlen=_LAST_WORDS)
        # Where nobody has it any more, its input ends, and so does it: the listener knows nothing of it.
        self._let_go = weakref.finalize(self, _close, self._input, self._output)
        self._let_go.atexit = False
        self._listener = threading.Thread(target=_listen, args=(self._talk, self._said), daemon=True)
        self._listener.start()
        self._ending = False
        self._has_written = False
        _running.add(self)
        #: Of each plugin set its rows of the table ``plugin_sets``.
        self.plugin_sets: dict[str, pa.Table] = {}
        try:
            self.hello = self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> dict[str, typing.Any]:
        hello = self._next(Kind.HELLO).json()
        if hello["protocol"] != _wire.PROTOCOL:
            raise ClickmillError(
                f"`{executable()}` speaks protocol {hello['protocol']}, this package {_wire.PROTOCOL}",
                hint="install the two together",
            )
        #: The Arrow schema of each table, and of letters.
        self.schemas = {table["table"]: self._next(Kind.ROWS).arrow().schema for table in hello["tables"]}
        self.letters = self._next(Kind.LETTERS).arrow().schema
        # Of what the set is made that runs.
        self._next(Kind.PLUGIN_SET)
        self._write(Kind.HELLO, b'{"protocol":1}')
        return hello

    @property
    def pid(self) -> int:
        """Its number."""
        return self._child.pid

    def has_ended(self) -> bool:
        """Whether it takes nothing more. One that says an error is about to end."""
        return self._ending or self._child.poll() is not None

    @property
    def has_read(self) -> bool:
        """Whether it has read the whole of the last element. Where it died before, that says nothing about it."""
        unread = fcntl.ioctl(self._input, termios.FIONREAD, bytes(4))
        return self._has_written and unread == bytes(4)

    def ask(self, kind: Kind, body: bytes | pa.Buffer) -> Answered:
        """Gives an element, and reads all of its answer.

        Raises :class:`ProcessDied` where the process has died or ends by a bug, and :class:`ClickmillError` where it
        says what is wrong.
        """
        limit = self.hello["limits"]["max_frame_bytes"]
        if len(body) > limit:
            raise ClickmillError(f"a batch has {len(body)} bytes, limit {limit}", hint="give smaller batches")
        self._has_written = self._write(kind, body)
        spool = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)
        while True:
            frame = self._next()
            if frame.kind in (Kind.ROWS, Kind.LETTERS):
                spool.write(_wire.header(frame))
                spool.write(frame.body)
            elif frame.kind is Kind.FAILED:
                raise ClickmillError.of(frame.json())
            elif frame.kind in (Kind.COUNTS, Kind.OBJECTS):
                spool.seek(0)
                return Answered(_frames(spool), frame.json())
            else:
                raise ClickmillError(f"`clickmill exec` answers with a frame {frame.kind.name}", exit_code=1)

    def _write(self, kind: Kind, body: bytes | pa.Buffer) -> bool:
        """Whether it was there to take it. Where it has died, how is told by what comes back."""
        try:
            _wire.write(self._input, kind, body)
        except BrokenPipeError:
            return False
        return True

    def _next(self, wanted: Kind | None = None) -> Frame:
        """The next frame; those that say what a set is made of are kept."""
        while True:
            try:
                frame = _wire.read(self._output)
            except ValueError as error:
                self._ending = True
                raise ClickmillError(
                    "`clickmill exec` answers with what is not a frame", causes=[str(error)], exit_code=1
                ) from error
            if frame is None:
                raise self._died()
            if frame.kind is Kind.ERROR:
                self._ending = True
                told = frame.json()
                # A bug, which is met by what it was given as much as a crash is: others go on without that.
                raise (ProcessDied if told["exit"] == 1 else ClickmillError).of(told)
            if frame.kind is not Kind.PLUGIN_SET:
                if wanted not in (None, frame.kind):
                    raise ClickmillError(f"`clickmill exec` begins with a frame {frame.kind.name}", exit_code=1)
                return frame
            table = frame.arrow().read_all()
            self.plugin_sets[table.column("plugin_set")[0].as_py()] = table
            if wanted is Kind.PLUGIN_SET:
                return frame

    def _died(self) -> ClickmillError:
        code = self._child.wait()
        self._listener.join()
        said = list(self._said)
        if code in _EXIT_CODES:
            # It has said why, as to a person.
            begins = next((at for at, line in enumerate(said) if line.startswith("error: ")), 0)
            text = "\n".join(said[begins:]).removeprefix("error: ")
            return ClickmillError(text or f"`clickmill exec` has ended with exit code {code}", exit_code=code)
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return ProcessDied(f"`clickmill exec` has ended {how}", causes=said[-1:], exit_code=1)

    def close(self) -> None:
        """Ends it."""
        _running.discard(self)
        self._let_go()
        try:
            self._child.wait(_PATIENCE_SECS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def _close(*pipes: typing.IO[bytes]) -> None:
    """Its input, and its output as well: it may have more to say than the pipe holds."""
    for pipe in pipes:
        with contextlib.suppress(OSError):
            pipe.close()


def _listen(talk: typing.IO[bytes], said: collections.deque[str]) -> None:
    with talk:
        for line in talk:
            text = line.decode(errors="replace").rstrip("\n")
            said.append(text)
            _LOG.info("%s", text)


def abandon() -> None:
    """Lets go of all processes, where this one was just forked: they and what is in their pipes are its parent's."""
    for process in list(_running):
        process._let_go.detach()
        for pipe in (process._input, process._output, process._talk):
            # Below its buffer, whose lock a thread of the parent may have held, and which is not to be written.
            typing.cast(typing.Any, pipe).raw.close()
    _running.clear()


def _frames(spool: typing.IO[bytes]) -> typing.Iterator[Frame]:
    with spool:
        while frame := _wire.read(spool):
            yield frame


@atexit.register
def _close_all() -> None:
    for process in list(_running):
        process.close()
