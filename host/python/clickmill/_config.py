"""What has to be known of a pipeline before a process is asked."""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib
import re
import tomllib
import typing

from ._errors import ClickmillError
from ._executable import executable

#: ``$${`` is a plain ``${``, as where the process reads the file.
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^}]*))?\}")
#: Where pipelines are that come with clickmill, and the folder of that, beside the executable's own.
_PIPELINES = "host/pipelines"
_IN_PIPELINES = re.compile(r"^host/+pipelines/+")
_SHARE = "share/clickmill"
#: Sections that are read here, and their settings that are texts.
_TEXTS = {
    "source": ("kind", "uri", "subscription"),
    "sink": ("kind", "project", "table"),
    "dead_letter": ("table",),
    "swap": (),
}
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
        # A secret may hold what else ends a line for Python, such as U+2028.
        lines = pathlib.Path(file).read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
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
    """Where a pipeline file is. As on the command line, a word alone that is no file here, or one that is only below
    ``host/pipelines``, is the name of one that comes with clickmill; a path never is."""
    given = pathlib.Path(pipeline)
    # Not by its parts, of which a path has no `./` and no `/` at its end.
    name = _IN_PIPELINES.sub("", pipeline)
    if "/" in name or (given.exists() and not given.is_dir()):
        return given
    named, beside = os.environ.get("CLICKMILL_SHARE"), executable().resolve().parent
    for share in [named] if named else [beside, beside.parent / _SHARE]:
        found = pathlib.Path(share) / _PIPELINES / f"{os.path.splitext(name)[0]}.toml"
        if found.is_file():
            return found
    return given


def read(settings: Settings) -> dict[str, typing.Any]:
    """A pipeline file's sections, variables and ``set`` filled in. Whether they are right the process says."""
    file = pipeline_file(settings.pipeline)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = f"{error.strerror} (os error {error.errno})" if isinstance(error, OSError) else str(error)
        raise ClickmillError(f"cannot read pipeline file `{file}`", causes=[why]) from error
    try:
        sections = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        why, _, where = str(error).rstrip(")").rpartition(" (at ")
        raise ClickmillError(f"pipeline file `{file}` is not TOML: {where}: {why}") from error
    for assignment in settings.set:
        _set(sections, assignment)
    filled = _filled(sections)
    _check(file, filled)
    return filled


def _check(file: pathlib.Path, sections: dict[str, typing.Any]) -> None:
    """Refuses settings of other types than those for which they are taken here."""

    def check(setting: str, fits: bool, wanted: str) -> None:
        # Without the value, which may be a secret.
        if not fits:
            raise ClickmillError(f"pipeline file `{file}`: `{setting}` is not {wanted}")

    for name, keys in _TEXTS.items():
        section = sections.get(name, {})
        check(name, isinstance(section, dict), "a section")
        for key in keys:
            check(f"{name}.{key}", isinstance(section.get(key, ""), str), "a text")
    routes = sections.get("sink", {}).get("route", [])
    is_list = isinstance(routes, list) and all(isinstance(route, dict) for route in routes)
    fits = is_list and all(isinstance(route.get("table"), str) for route in routes)
    check("sink.route", fits, "a list of sections with a `table` each")


def _set(sections: dict[str, typing.Any], assignment: str) -> None:
    """Gives a setting another value, as ``--set`` does. A section of a list is the one of that name."""
    key, separator, text = assignment.partition("=")

    def refused(wanted: str) -> ClickmillError:
        # Without the value, which may be a secret.
        return ClickmillError(f"`--set {key}`: {wanted}")

    if not separator:
        raise refused("wanted key=value, such as source.uri=clicks.csv")
    *above, last = key.strip().split(".")
    at: typing.Any = sections
    names = iter(above)
    for name in names:
        at = at.setdefault(name, {})
        if isinstance(at, list):
            item = next(names, "")
            found = [one for one in at if isinstance(one, dict) and one.get("name") == item]
            if not found:
                raise refused(f"there is no `{name}` named `{item}`")
            at = found[0]
        if not isinstance(at, dict):
            raise refused(f"`{name}` holds a value, not a section")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    texts = _TEXTS.get(above[0], ()) if len(above) == 1 else ()
    wants_text = isinstance(at.get(last), str) or last in texts
    # No key holds a date. What looks like a number is text where text stands in the file, or is wanted.
    if isinstance(value, (datetime.date, datetime.time)) or (wants_text and not isinstance(value, (str, list, dict))):
        value = text
    at[last] = value


def _filled(value: typing.Any) -> typing.Any:
    if isinstance(value, str):
        return _VARIABLE.sub(_variable, value).replace("$${", "${")
    if isinstance(value, dict):
        return {key: _filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner) for inner in value]
    return value


def _variable(found: re.Match[str]) -> str:
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
