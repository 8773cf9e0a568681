"""What can go wrong."""

from __future__ import annotations

import typing


class ClickmillError(Exception):
    """What ``clickmill`` says is wrong, in the words of the command line.

    ``exit_code`` is that of the command: 1 the run failed, 2 bad input or configuration, 3 the environment, where
    another try may do. An error of the code 1 is a :class:`RunFailed`, one of 3 an :class:`EnvironmentFailed`.
    """

    #: That of an error that is made without one.
    exit_code: int = 2

    def __new__(
        cls,
        error: str,
        *,
        causes: typing.Sequence[str] = (),
        hint: str | None = None,
        exit_code: int | None = None,
    ) -> ClickmillError:
        """The error, in the class of its exit code: engines make it anew of its class and its text alone."""
        of_codes = {1: RunFailed, 3: EnvironmentFailed}
        kind = of_codes.get(exit_code or cls.exit_code, cls) if cls is ClickmillError else cls
        return super().__new__(kind, error)

    def __init__(
        self,
        error: str,
        *,
        causes: typing.Sequence[str] = (),
        hint: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.causes = list(causes)
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code
        # All that is said, for those who make it anew of its arguments.
        self.args = (str(self),)

    def __reduce__(self) -> tuple[typing.Any, ...]:
        # Engines send errors from process to process, which by itself would lose all but the first.
        return _again, (type(self), self.error, self.causes, self.hint, self.exit_code)

    def __str__(self) -> str:
        text, last = self.error, self.error
        for cause in self.causes:
            # Some libraries repeat the cause in their own text.
            if not last.endswith(cause):
                text += f"\n  caused by: {cause}"
            last = cause
        return f"{text}\nhint: {self.hint}" if self.hint else text

    @classmethod
    def of(cls, told: dict[str, typing.Any]) -> ClickmillError:
        """That of a frame ``error`` or ``failed``."""
        return cls(told["error"], causes=told["causes"], hint=told.get("hint"), exit_code=told["exit"])


def _again(
    kind: type[ClickmillError], error: str, causes: list[str], hint: str | None, exit_code: int
) -> ClickmillError:
    return kind(error, causes=causes, hint=hint, exit_code=exit_code)


class RunFailed(ClickmillError):
    """The run failed, which is no fault of input, configuration or environment as far as is known."""

    exit_code = 1


class EnvironmentFailed(ClickmillError):
    """Something is unreachable, denied or full: another try may do."""

    exit_code = 3


class ProcessDied(RunFailed):
    """The process has died, or ended by a bug, which is no record's fault as far as is known."""
