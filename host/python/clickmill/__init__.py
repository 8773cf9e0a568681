"""clickmill: sandboxed WebAssembly plugins between click events and BigQuery.

:func:`chain` runs a pipeline file's chain over Arrow tables, :mod:`clickmill.beam` in Apache Beam and
:mod:`clickmill.spark` in Spark. All of them start ``clickmill exec``, the executable that comes with this package.
"""

from __future__ import annotations

import typing

from ._errors import ClickmillError, EnvironmentFailed, ProcessDied, RunFailed
from ._executable import executable

if typing.TYPE_CHECKING:
    from ._chain import Answer, Chain, chain

__all__ = [
    "Answer",
    "Chain",
    "ClickmillError",
    "EnvironmentFailed",
    "ProcessDied",
    "RunFailed",
    "chain",
    "executable",
]


def __getattr__(name: str) -> typing.Any:
    # Who wants the executable alone has no need of pyarrow.
    if name in ("Answer", "Chain", "chain"):
        try:
            from . import _chain
        except ImportError as error:
            raise ImportError(f"clickmill.{name} wants pyarrow: pip install 'clickmill[arrow]'") from error
        return getattr(_chain, name)
    raise AttributeError(f"module `clickmill` has no attribute `{name}`")
