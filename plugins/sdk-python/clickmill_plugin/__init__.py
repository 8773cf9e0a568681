"""Write clickmill plugins in Python: one function over a row, or over whole columns where speed matters.

    from dataclasses import dataclass
    from clickmill_plugin import DataType, Row, plugin, reject

    @dataclass
    class Config:
        keep: list[str]
        '''Countries to keep, as ISO codes.'''

    @plugin(reads={"country": DataType.TEXT}, writes={"country": DataType.TEXT})
    def keep_countries(row: Row, config: Config) -> None:
        country = row.require_text("country").upper()
        if country not in config.keep:
            row.filter_out()
        row["country"] = country

`clickmill plugin build` makes a component of the project; `python -m unittest` tests it natively, with
`clickmill_plugin.testing` in the host's place.
"""

from . import log, lookup
from .batch import Batch
from .config import Problems
from .host import DataType
from .plugin import Plugin, Secret, plugin
from .row import Refusal, Row, reject

__all__ = [
    "Batch",
    "DataType",
    "Plugin",
    "Problems",
    "Refusal",
    "Row",
    "Secret",
    "log",
    "lookup",
    "plugin",
    "reject",
]
