"""Reference data by key: the files that the pipeline file names under `lookups`."""

from collections.abc import Iterable

from . import host
from .columns import Reader, texts

_known: dict[tuple[str, str], dict[str, str | None]] = {}


def find(table: str, field: str, keys: Iterable[str]) -> list[str | None]:
    """Field `field` of table `table` for each of `keys`, None where the table has no such key.

    One call to the host, so pass many keys at once. A KeyError says that the table is not granted, or has no
    such field, a TypeError that the keys are a single text.
    """
    if isinstance(keys, str):
        raise TypeError(f"the keys of `{table}` are a str, wanted a list of them: `lookup.get` asks for one")
    try:
        column = host.lookup.find(table, field, texts([key.encode() for key in keys]))
    except host.Err as error:
        raise KeyError(_told(table, field, error.value)) from None
    reader = Reader(column)
    return [reader.value(at) for at in range(len(reader))]


def get(table: str, field: str, key: str) -> str | None:
    """The same for one key. What was asked before is remembered for the batch."""
    known = _known.setdefault((table, field), {})
    if key not in known:
        (known[key],) = find(table, field, [key])
    return known[key]


def forget() -> None:
    """Forgets what was asked."""
    _known.clear()


def _told(table: str, field: str, error) -> str:
    kind = type(error).__name__
    if kind.endswith("UnknownTable"):
        return f"no lookup table `{error.value}`: name it under `lookups` in the pipeline file"
    if kind.endswith("UnknownField"):
        return f"lookup table `{table}` has no field `{field}`, only: {', '.join(error.value)}"
    return f"malformed lookup keys: {error.value}"
