"""A plugin's configuration: a dataclass is read of JSON, and says its JSON Schema.

Fields are of bool, int, float, str, list[…], dict[str, …], Literal[…], dataclasses, Any, or one of them `| None`. The
docstring of the class and the texts below its fields are the documentation.
"""

import ast
import dataclasses
import functools
import inspect
import json
import textwrap
import types
import typing
from typing import Any, Literal, Union


class Problems(Exception):
    """Everything that is wrong with a configuration, a line each. A dataclass raises it in `__post_init__`."""

    def __init__(self, *problems: str):
        super().__init__(*problems)
        self.problems = list(problems)


@dataclasses.dataclass
class NoConfig:
    """Nothing can be set."""


_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_TOLD = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def schema(config: type) -> str:
    """The JSON Schema of a dataclass."""
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **_schema(config)})


def read(config: type, text: str) -> Any:
    """The configuration that a JSON text is, or `Problems`."""
    problems: list[str] = []
    made = _read(config, json.loads(text), "", problems)
    if problems:
        raise Problems(*problems)
    return made


def _schema(kind: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return {}
    if kind in _NAMES:
        return {"type": _NAMES[kind]}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        own = [_schema(one) for one in arguments if one is not type(None)]
        return {"anyOf": [*own, {"type": "null"}]} if len(own) < len(arguments) else {"anyOf": own}
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"no configuration has a field of {kind}")
    hints, texts = _hints(kind), _texts(kind)
    properties, required = {}, []
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        described = _schema(hints[field.name])
        if field.name in texts:
            described["description"] = texts[field.name]
        if field.default is not dataclasses.MISSING:
            described["default"] = _plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            described["default"] = _plain(field.default_factory())
        else:
            required.append(field.name)
        properties[field.name] = described
    made = {"title": kind.__name__, "type": "object", "properties": properties}
    if (kind.__doc__ or "").strip() and not kind.__doc__.startswith(f"{kind.__name__}("):
        made["description"] = inspect.cleandoc(kind.__doc__)
    return {**made, "required": required, "additionalProperties": False}


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


@functools.cache
def _hints(config: type) -> dict[str, Any]:
    """The types of fields: found when a component is made, and known in each of its instances."""
    return typing.get_type_hints(config)


def _texts(config: type) -> dict[str, str]:
    """The texts that stand below fields."""
    if config is NoConfig:
        return {}
    try:
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    except OSError:
        # There is no source, as of what is typed into an interpreter.
        return {}
    texts = {}
    for one, next_one in zip(body.body, body.body[1:]):
        if isinstance(one, ast.AnnAssign) and isinstance(next_one, ast.Expr):
            text = getattr(next_one.value, "value", None)
            if isinstance(text, str):
                texts[one.target.id] = inspect.cleandoc(text)
    return texts


def _read(kind: Any, value: Any, path: str, problems: list[str]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)

    def refuse(wanted: str) -> None:
        problems.append(f"`{path}` is {json.dumps(value, ensure_ascii=False)[:80]}, wanted {wanted}")

    if kind is Any:
        return value
    if kind in _NAMES:
        is_one = type(value) is kind or (kind is float and type(value) is int)
        return value if is_one else refuse(_TOLD[kind])
    if origin is list:
        if not isinstance(value, list):
            return refuse("a list")
        return [_read(arguments[0], one, f"{path}[{at}]", problems) for at, one in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            return refuse("a table")
        return {key: _read(arguments[1], one, f"{path}.{key}", problems) for key, one in value.items()}
    if origin is Literal:
        is_one = any(type(value) is type(one) and value == one for one in arguments)
        return value if is_one else refuse("one of " + ", ".join(json.dumps(one) for one in arguments))
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        tries = []
        for one in arguments:
            if one is type(None):
                continue
            tries.append([])
            made = _read(one, value, path, tries[-1])
            if not tries[-1]:
                return made
        problems += tries[0]
        return None
    if not isinstance(value, dict):
        return refuse("a table")
    return _read_fields(kind, value, path, problems)


def _read_fields(kind: type, value: dict, path: str, problems: list[str]) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    hints, before = _hints(kind), len(problems)
    made = {}
    for name, one in value.items():
        own = f"{path}.{name}" if path else name
        if name in fields:
            made[name] = _read(hints[name], one, own, problems)
        else:
            known = ", ".join(f"`{name}`" for name in fields) or "none"
            problems.append(f"unknown field `{own}`, expected one of: {known}")
    for name, field in fields.items():
        has_none = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if name not in made and has_none:
            problems.append(f"missing field `{path}.{name}`" if path else f"missing field `{name}`")
    if len(problems) > before:
        return None
    try:
        return kind(**made)
    except Problems as error:
        problems += error.problems
    except ValueError as error:
        problems.append(str(error))
    return None
