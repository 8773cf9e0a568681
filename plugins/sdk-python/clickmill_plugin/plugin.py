"""What a plugin is, and the glue between it and the exports of the component."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union

from . import config as configuration
from . import lookup
from .batch import Batch
from .columns import readers, roots
from .config import NoConfig, Problems
from .errors import home, told
from .host import DataType, Err, types
from .row import Refusal, Row, rejection
from .sandbox import alone, bereft
from .values import well_formed

# A type, or a type in a list: `[DataType.TEXT]` is a column of lists.
ColumnType = Union[DataType, list[DataType]]
Columns = Union[Mapping[str, ColumnType], Callable[[Any], Mapping[str, ColumnType]]]
Names = Union[Iterable[str], Callable[[Any], Iterable[str]]]


@dataclass(frozen=True)
class Secret:
    """A secret that a plugin wants, which arrives as the field of that name in the configuration. The host refuses
    fewer bytes than that, and fewer than 16 whatever it says."""

    name: str
    min_bytes: int = 16


@dataclass(frozen=True)
class Plugin:
    """A plugin. `plugin` and `plugin.columns` make one of a function."""

    function: Callable[..., None]
    reads: Columns
    writes: Columns
    lookups: Names
    secrets: tuple[Secret, ...]
    multiplies: bool
    over_columns: bool
    config: type
    schema: str
    # The folder of the author's modules.
    home: str

    def __call__(self, *arguments: Any) -> None:
        """The function itself."""
        self.function(*arguments)

    def configured(self, config: str) -> tuple[Any, types.Needs]:
        """The configuration that a JSON text is, and what the plugin needs with it; or `Problems`."""
        made = configuration.read(self.config, config)

        def own(value):
            return value(made) if callable(value) else value

        reads, writes = specs(own(self.reads)), specs(own(self.writes))
        return made, types.Needs(reads, writes, names(own(self.lookups)), self.multiplies)


def plugin(
    *,
    reads: Columns,
    writes: Columns,
    lookups: Names = (),
    secrets: Iterable[Secret] = (),
    multiplies: bool = False,
    _over_columns: bool = False,
) -> Callable[[Callable[..., None]], Plugin]:
    """Makes a function over a row, `def name(row: Row, config: Config) -> None`, the plugin of its module.

    `reads` and `writes` are columns by path with their types, `[DataType.TEXT]` for lists; of a record that is read
    all below it is, and one that is written is followed by its fields. `lookups` are the tables it asks. Each may
    be a function of the configuration. `multiplies` says that one row may become several. `Config`, which may be
    left out, is a dataclass.

    An exception that leaves the function refuses its row, with code `exception`, its message and its line.
    """

    def make(function: Callable[..., None]) -> Plugin:
        config = _config_of(function)
        known = [field.name for field in dataclasses.fields(config)] if dataclasses.is_dataclass(config) else None
        wanted = tuple(secrets)
        for secret in wanted:
            if known is not None and secret.name not in known:
                told = f"the secret `{secret.name}` comes as a field of the configuration"
                raise TypeError(f"{told}: declare `{secret.name}: str` in its dataclass")
        for columns in (reads, writes):
            if not callable(columns):
                specs(columns)
        tables = lookups if callable(lookups) else names(lookups)
        schema = configuration.schema(config)
        own = (reads, writes, tables, wanted, multiplies, _over_columns)
        # It is the author's module that calls this.
        return Plugin(function, *own, config, schema, home(sys._getframe(1)))

    return make


def _config_of(function: Callable[..., None]) -> type:
    """The type of a function's second parameter. Anything but a function of a row, and a configuration, is a mistake
    of its author, which would refuse each row."""
    name = getattr(function, "__name__", repr(function))
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(is_one(function) for is_one in kinds):
        raise TypeError(f"`{name}` waits or yields: a plugin waits for nothing, and its function ends with its row")
    parameters = list(inspect.signature(function).parameters.values())
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    others = [one for one in parameters if one not in positional[:2] and one.default is one.empty]
    others = [one for one in others if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    if not positional or others:
        raise TypeError(f"`{name}` is called with a row and, where it takes one, a configuration")
    if len(positional) == 1:
        return NoConfig
    second = positional[1].name
    config = typing.get_type_hints(function).get(second)
    if config is None:
        raise TypeError(f"`{name}` takes `{second}`, of no type: annotate it with your dataclass, as in `{second}: Config`")
    return config


def _columns(**announced: Any) -> Callable[[Callable[..., None]], Plugin]:
    """Makes a function over whole columns, `def name(batch: Batch, config: Config) -> None`, the plugin of its
    module. It is faster, and takes what `plugin` takes, but no `multiplies`. An exception that leaves it makes the
    host look for the guilty rows."""
    return plugin(**announced, _over_columns=True)


plugin.columns = _columns


def specs(columns: Mapping[str, ColumnType]) -> list[types.ColumnSpec]:
    """Columns as the contract has them."""

    if not isinstance(columns, Mapping):
        raise TypeError(f"{columns!r:.80} are no columns: wanted paths with their types, as in {_EXAMPLE}")

    def spec(path, kind):
        repeated = isinstance(kind, list) and len(kind) == 1
        of = kind[0] if repeated else kind
        if not isinstance(of, DataType):
            raise TypeError(f"`{path}` has a type {kind!r:.80}, which is none: wanted a `DataType`, as in {_EXAMPLE}")
        return types.ColumnSpec(path, of, repeated)

    return [spec(path, kind) for path, kind in columns.items()]


def names(lookups: Iterable[str]) -> list[str]:
    """Tables by name. A text would be one for each of its letters."""
    if isinstance(lookups, str):
        raise TypeError(f"`lookups` is a text, wanted a list, as in `[{lookups!r:.80}]`")
    return list(lookups)


_EXAMPLE = '`{"country": DataType.TEXT}`'


def process(plugin: Plugin, config: Any, needs: types.Needs, batch: types.Batch) -> types.Output:
    """Transforms one batch."""
    read = readers(batch.columns)
    written = roots(needs.writes, read)
    if plugin.over_columns:
        columns = Batch(batch, read, written)
        _call(plugin, columns, config)
        return columns._end()
    output = types.Output([] if needs.multiplies else None, [], [], [])
    row = Row(read, written, batch.ingest_time, needs.multiplies)
    own, count = list(written.items()), 0
    for at in range(batch.rows):
        row._begin(at)
        refusal = None
        try:
            _call(plugin, row, config)
            became = row._end(None)
        except Refusal as error:
            refusal = error
        except BaseException as error:
            # An exit too: it would end the call.
            refusal = Refusal("exception", told(error, plugin.home))
        if refusal is not None:
            became = row._end(refusal)
        for values, dropped, refusal in became:
            if refusal is not None:
                output.rejections.append(rejection(count, refusal))
            elif dropped:
                output.dropped.append(count)
            for path, root in own:
                if path in values:
                    root.push(values[path])
                else:
                    root.keep(at)
            if output.came_from is not None:
                output.came_from.append(at)
            count += 1
    for root in written.values():
        root.finish(output.came_from, output.columns)
    return output


def _call(plugin: Plugin, over: Any, config: Any) -> None:
    arguments = (over,) if plugin.config is NoConfig else (over, config)
    returned = plugin.function(*arguments)
    # It would be lost without a word; a generator or a coroutine would not even have run.
    if returned is not None and returned is not over:
        name, kind = plugin.function.__name__, type(returned).__name__
        raise TypeError(f"`{name}` returns a {kind}, which would be lost: set columns, as in `row[\"country\"] = …`")


def world(module: Any, name: str, version: str, description: str) -> type:
    """The exports of the component, of the one plugin in a module."""
    plugins = {id(one): one for one in vars(module).values() if isinstance(one, Plugin)}
    if len(plugins) != 1:
        raise TypeError(f"`{module.__name__}` has {len(plugins)} functions with `@plugin`, wanted one")
    (own,) = plugins.values()
    secrets = [types.Secret(secret.name, secret.min_bytes) for secret in own.secrets]
    ready: dict[str, tuple[Any, types.Needs]] = {}
    bereft(own.home)

    class WitWorld:
        def describe(self):
            return types.Manifest(name, version, description, own.schema, secrets)

        def configure(self, config, available):
            alone()
            try:
                _, needs = own.configured(config)
            except Problems as error:
                raise Err([well_formed(problem) for problem in error.problems])
            except BaseException as error:
                raise Err([well_formed(told(error, own.home))])
            return types.Configured(needs, b"")

        def process(self, config, prepared, input):
            alone()
            lookup.forget()
            try:
                # An instance that the pipeline reuses is configured once.
                if config not in ready:
                    ready.clear()
                    ready[config] = own.configured(config)
                return process(own, *ready[config], input)
            except Problems as error:
                raise Err(types.Fault(well_formed("; ".join(error.problems))))
            except BaseException as error:
                raise Err(types.Fault(well_formed(told(error, own.home))))

    return WitWorld
