"""What has to be known of a pipeline before a process is asked."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import tomllib

from ._errors import ClickmillError
from ._executable import executable

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
#: Where pipelines are that come with clickmill, and the folder of that, beside the executable's own.
_PIPELINES = "host/pipelines"
_SHARE = "share/clickmill"
#: For so many milliseconds memory that is free stays the process's own, so that frames do not have their pages made
#: anew and cleared each time.
_KEEPS_MEMORY = {"MIMALLOC_PURGE_DELAY": "1000"}


@dataclasses.dataclass(frozen=True)
class Settings:
    """A chain as it is asked for. It holds no secret, so it may be in a graph."""

    pipeline: str
    set: tuple[str, ...] = ()
    plugin_set: str | None = None
    watch: bool = False
    #: A file with lines ``NAME=value``.
    secrets: str | None = None

    def arguments(self) -> list[str]:
        """Those of ``clickmill exec``."""
        given = [self.pipeline]
        for value in self.set:
            given += ["--set", value]
        if self.plugin_set:
            given += ["--plugin-set", self.plugin_set]
        return [*given, "--watch"] if self.watch else given

    def environment(self) -> dict[str, str]:
        """That of the process: the one here, and what the file of secrets has."""
        return {**_KEEPS_MEMORY, **os.environ, **(_variables(self.secrets) if self.secrets else {})}


def _variables(file: str) -> dict[str, str]:
    try:
        lines = pathlib.Path(file).read_text().splitlines()
    except OSError as error:
        raise ClickmillError(
            f"cannot read `{file}`, the file of secrets", causes=[str(error)], exit_code=3
        ) from error
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, separator, value = line.partition("=")
        if not separator:
            # Without the line, which may be a secret.
            raise ClickmillError(f"line {number} of `{file}` is not `NAME=value`")
        found[name.strip()] = value
    return found


def pipeline_file(pipeline: str) -> pathlib.Path:
    """A pipeline file, or the one of that name that comes with clickmill."""
    given = pathlib.Path(pipeline)
    if given.is_file():
        return given
    shares = [os.environ.get("CLICKMILL_SHARE"), executable().resolve().parent.parent / _SHARE]
    for share in shares:
        if share and (found := pathlib.Path(share) / _PIPELINES / given.with_suffix(".toml").name).is_file():
            return found
    raise ClickmillError(f"cannot read `{pipeline}`", causes=["No such file or directory (os error 2)"])


def read(settings: Settings) -> dict:
    """A pipeline file's sections, variables and ``set`` filled in. Whether they are right the process says."""
    file = pipeline_file(settings.pipeline)
    try:
        sections = tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ClickmillError(f"`{file}` is no pipeline file", causes=[str(error)]) from error
    for assignment in settings.set:
        key, _, value = assignment.partition("=")
        *sections_above, last = key.split(".")
        at = sections
        for name in sections_above:
            at = at.setdefault(name, {})
        try:
            at[last] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            at[last] = value
    return _filled(sections)


def _filled(value):
    if isinstance(value, str):
        return _VARIABLE.sub(_variable, value)
    if isinstance(value, dict):
        return {key: _filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner) for inner in value]
    return value


def _variable(found: re.Match) -> str:
    # One that is empty is as one that is not set. Without a default it stays, for who has a use for it.
    return os.environ.get(found[1]) or (found[0] if found[2] is None else found[2])


def is_filled(setting: str, value: str | None) -> str | None:
    """The value of a setting, which is an error where a variable in it is not set here."""
    if value and (missing := _VARIABLE.search(value)):
        raise ClickmillError(
            f"environment variable `{missing[1]}`, which `{setting}` names, is not set",
            hint="it has to be in the environment here, and in that of the workers",
        )
    return value


def tables_of(settings: Settings) -> list[str]:
    """The tables that rows go to: that of ``[sink]``, then those of its routes, each once."""
    sink = read(settings).get("sink", {})
    if "table" not in sink:
        raise ClickmillError(f"`{settings.pipeline}` has no `sink.table`")
    return list(dict.fromkeys([sink["table"], *(route["table"] for route in sink.get("route", []))]))
