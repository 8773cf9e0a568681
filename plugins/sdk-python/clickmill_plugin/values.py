"""Values of each type: as Python has them, and as the contract has them.

| type | in Python |
|---|---|
| BOOLEAN, INT64, FLOAT64, TEXT, BLOB | bool, int, float, str, bytes |
| DECIMAL | decimal.Decimal: exact, of at most 38 digits, 9 of them after the point |
| DATE, TIME, DATETIME | datetime.date, .time, .datetime, in no zone |
| TIMESTAMP | datetime.datetime with a zone; what is read is in UTC |
| JSON | str: the value's text |
| RECORD | dict of the fields by name |

FLOAT64 takes an int too, where a float is exactly that; `float(…)` rounds others. A DECIMAL that is read is written
plainly by `str`, `2000` or `0.0000001`; one that is computed is by `f"{price:f}"`.
"""

import _strptime  # noqa: F401  # `strptime` imports it when it is called, which is too late in a component
import datetime as dt
import decimal
from decimal import Decimal

from .host import DataType, types

# Sums and products of exact numbers are exact, whatever their digits.
_EXACT = decimal.Context(prec=80, rounding=decimal.ROUND_HALF_EVEN)
decimal.setcontext(_EXACT)

_SCALE = 1_000_000_000
_DAY_0 = dt.date(1970, 1, 1).toordinal()
_EPOCH = dt.datetime(1970, 1, 1)
_EPOCH_UTC = _EPOCH.replace(tzinfo=dt.timezone.utc)
_MICROSECOND = dt.timedelta(microseconds=1)


class WrongType(TypeError):
    """A value is not of the type that its column is announced as."""

    told = False
    """Whether it names the column yet."""


def _told(value) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def well_formed(text: object) -> str:
    """A text for the host, which takes no half of a character, such as JSON may have: there is a replacement character
    in its place."""
    text = str(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    return text


def _boolean(value):
    if value is True or value is False:
        return int(value)
    raise WrongType(_told(value))


def _int64(value):
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongType(_told(value))
    if not -(1 << 63) <= value < 1 << 63:
        raise OverflowError(f"{_told(value)} is beyond 64 bits")
    return value


def _float64(value):
    if isinstance(value, float):
        return float(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongType(_told(value))
    try:
        made = float(value)
    except OverflowError:
        raise WrongType("an integer beyond its range") from None
    if made != value:
        raise WrongType(f"{_told(value)}, which no float is exactly: round it, with `float(…)`")
    return made


def _decimal(value):
    if isinstance(value, int) and not isinstance(value, bool):
        scaled = value * _SCALE
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is no number that a DECIMAL may be")
        if value.adjusted() > 28:
            raise ValueError(f"{value} has more than 29 digits before the point")
        exact = value.scaleb(9, _EXACT)
        scaled = int(exact)
        if scaled != exact:
            raise ValueError(f"{value} has more than 9 digits after the point: quantize it")
    else:
        raise WrongType(_told(value))
    if abs(scaled) >= 10**38:
        raise ValueError(f"{value} has more than 29 digits before the point")
    return scaled


def _text(value):
    if isinstance(value, str):
        return value.encode()
    raise WrongType(_told(value))


def _blob(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise WrongType(_told(value))


def _date(value):
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.toordinal() - _DAY_0
    raise WrongType(_told(value))


def _time(value):
    if isinstance(value, dt.time) and value.tzinfo is None:
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    raise WrongType(_told(value))


def _datetime(value):
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return (value - _EPOCH) // _MICROSECOND
    raise WrongType(_told(value))


def _timestamp(value):
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return (value - _EPOCH_UTC) // _MICROSECOND
    raise WrongType(_told(value))


def instant(micros: int) -> dt.datetime:
    """The instant so many microseconds after 1970-01-01T00:00:00Z."""
    return _EPOCH_UTC + dt.timedelta(microseconds=micros)


class _Small(Decimal):
    """A number that Python writes with an exponent, whatever its digits: `1E-7`. This one is written plainly."""

    __slots__ = ()

    def __str__(self) -> str:
        return super().__format__("f")

    def __format__(self, spec: str) -> str:
        return super().__format__(spec or "f")


def _decimal_of(scaled):
    # One that is whole is not normalized: that writes 2000 as `2E+3`.
    if scaled % _SCALE == 0:
        return Decimal(scaled // _SCALE)
    made = Decimal(scaled).scaleb(-9, _EXACT).normalize(_EXACT)
    return _Small(made) if -1000 < scaled < 1000 else made


def _time_of(micros):
    seconds, micros = divmod(micros, 1_000_000)
    return dt.time(seconds // 3600, seconds // 60 % 60, seconds % 60, micros)


def _same(value):
    return value


# How a value becomes one of the contract, or raises; and how it is read of one.
ENCODE = {
    DataType.BOOLEAN: _boolean,
    DataType.INT64: _int64,
    DataType.FLOAT64: _float64,
    DataType.DECIMAL: _decimal,
    DataType.DATE: _date,
    DataType.TIME: _time,
    DataType.DATETIME: _datetime,
    DataType.TIMESTAMP: _timestamp,
    DataType.TEXT: _text,
    DataType.JSON: _text,
    DataType.BLOB: _blob,
}
DECODE = {
    DataType.BOOLEAN: bool,
    DataType.INT64: _same,
    DataType.FLOAT64: _same,
    DataType.DECIMAL: _decimal_of,
    DataType.DATE: lambda days: dt.date.fromordinal(days + _DAY_0),
    DataType.TIME: _time_of,
    DataType.DATETIME: lambda micros: _EPOCH + dt.timedelta(microseconds=micros),
    DataType.TIMESTAMP: instant,
    DataType.TEXT: bytes.decode,
    DataType.JSON: bytes.decode,
    DataType.BLOB: _same,
}

# The contract's cases, by type: texts of three kinds, and the others.
TEXTS = {
    DataType.TEXT: types.Values_Texts,
    DataType.JSON: types.Values_Jsons,
    DataType.BLOB: types.Values_Blobs,
}
NUMBERS = {
    DataType.INT64: types.Values_Int64s,
    DataType.FLOAT64: types.Values_Float64s,
    DataType.DATE: types.Values_Dates,
    DataType.TIME: types.Values_Times,
    DataType.DATETIME: types.Values_Datetimes,
    DataType.TIMESTAMP: types.Values_Timestamps,
}
TYPES = {
    types.Values_Booleans: DataType.BOOLEAN,
    types.Values_Decimals: DataType.DECIMAL,
    types.Values_Dictionary: DataType.TEXT,
    types.Values_Records: DataType.RECORD,
    **{case: data_type for data_type, case in {**TEXTS, **NUMBERS}.items()},
}
