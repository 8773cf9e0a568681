"""The host's side of the contract: in a component the world that it is built for, natively the tests' own."""

try:
    from componentize_py_types import Err
    from wit_world.imports import log, lookup, types
except ImportError:
    from . import contract as types
    from .native import Err, log, lookup

DataType = types.DataType
