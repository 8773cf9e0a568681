"""Columns of the contract, read as values and made of values, with records and lists."""

from itertools import accumulate

from .host import DataType, types
from .values import DECODE, ENCODE, NUMBERS, TEXTS, TYPES, WrongType

_WORD = (1 << 64) - 1


def texts(values: list[bytes]) -> types.Text:
    """Texts, laid end to end."""
    return types.Text([0, *accumulate(map(len, values))], b"".join(values))


class Reader:
    """A column that is read, and the fields below it."""

    def __init__(self, column: types.Column):
        self.column = column
        self.offsets = column.offsets
        self.data_type = TYPES[type(column.values)]
        self.fields: dict[str, Reader] = {}
        self.decode = DECODE.get(self.data_type)
        self._validity = column.validity
        self._raw = None if self.data_type is DataType.RECORD else _raw(column.values)

    def __len__(self) -> int:
        """How many values it has: of what is no record."""
        values = self.column.values
        if isinstance(values, types.Values_Dictionary):
            return len(values.value.indices)
        if self.data_type in TEXTS:
            return len(values.value.offsets) - 1
        return len(values.value) // (2 if self.data_type is DataType.DECIMAL else 1)

    def is_valid(self, at: int) -> bool:
        validity = self._validity
        return validity is None or validity[at >> 3] >> (at & 7) & 1 == 1

    def raw(self, at: int):
        """A single value as the contract has it, of what is no record."""
        return self._raw(at) if self.is_valid(at) else None

    def element(self, at: int):
        """A single value, or an element of a list."""
        validity = self._validity
        if validity is not None and not validity[at >> 3] >> (at & 7) & 1:
            return None
        if self._raw is None:
            return {name: field.value(at) for name, field in self.fields.items()}
        return self.decode(self._raw(at))

    def value(self, at: int):
        """What it holds for a row or a record."""
        offsets = self.offsets
        if offsets is None:
            return self.element(at)
        return [self.element(element) for element in range(offsets[at], offsets[at + 1])]

    def below(self, places: range) -> range:
        """The values that belong to those of what the column lies in."""
        offsets = self.offsets
        return places if offsets is None else range(offsets[places.start], offsets[places.stop])


def _raw(values):
    """What gives the value at a place."""
    case = type(values)
    if case is types.Values_Decimals:
        words = values.value

        def decimal(at):
            high = words[2 * at + 1]
            return words[2 * at] | (high - (1 << 64) if high >> 63 else high) << 64

        return decimal
    if case is types.Values_Dictionary:
        of_value, indices = _slices(values.value.values), values.value.indices
        return lambda at: of_value(indices[at])
    if TYPES[case] in TEXTS:
        return _slices(values.value)
    return values.value.__getitem__


def _slices(text: types.Text):
    offsets, data = text.offsets, text.bytes
    return lambda at: data[offsets[at] : offsets[at + 1]]


def readers(columns: list[types.Column]) -> dict[str, Reader]:
    """The columns of a batch itself by name, with the fields of records below them."""
    roots: dict[str, Reader] = {}
    made = []
    for column in columns:
        reader = Reader(column)
        made.append(reader)
        fields = roots if column.parent is None else made[column.parent].fields
        fields[column.name] = reader
    return roots


def find(roots: dict[str, Reader], path: str) -> Reader | None:
    """The column of a path that leads through no list: it is read by the row's own number."""
    found = None
    fields = roots
    for name in path.split("."):
        if found is not None and found.offsets is not None:
            return None
        found = fields.get(name)
        if found is None:
            return None
        fields = found.fields
    return found


class Node:
    """A column in the making, and its fields."""

    def __init__(self, path: str, spec: types.ColumnSpec, writes: list[types.ColumnSpec]):
        self.path, self.name = path, path.rpartition(".")[2]
        self.data_type = spec.data_type
        self.offsets = [0] if spec.repeated else None
        # As the contract has them; of a record whether it is there.
        self.values: list = []
        own = [other for other in writes if other.path.rpartition(".")[0] == path]
        self.fields = {node.name: node for node in (Node(one.path, one, writes) for one in own)}
        self._encode = ENCODE.get(self.data_type, self._record)

    def encode(self, value):
        """A value, or a list of them, as the contract has it; raises where it is none of the column."""
        try:
            if self.offsets is None:
                return None if value is None else self._encode(value)
            if value is None:
                return []
            if not isinstance(value, (list, tuple)):
                raise WrongType(f"{value!r:.80}")
            if None in value:
                raise WrongType("a list with None in it")
            return [self._encode(element) for element in value]
        except WrongType as error:
            if not error.told:
                wanted = f"a list of {self.data_type.name}" if self.offsets else self.data_type.name
                error.args = (f"`{self.path}` is announced as {wanted} but set to {error}",)
                error.told = True
            raise

    def _record(self, value):
        if not isinstance(value, dict):
            raise WrongType(f"{value!r:.80}")
        for name in value:
            if name not in self.fields:
                raise KeyError(f"`{self.path}.{name}` is set but not announced: add it to `writes`")
        return {name: field.encode(value.get(name)) for name, field in self.fields.items()}

    def push(self, encoded) -> None:
        """Adds what `encode` gave."""
        if self.offsets is None:
            self._push(encoded)
        else:
            for element in encoded or ():
                self._push(element)
            self.offsets.append(len(self.values))

    def _push(self, encoded) -> None:
        if self.data_type is DataType.RECORD:
            for name, field in self.fields.items():
                field.push(None if encoded is None else encoded[name])
            encoded = None if encoded is None else True
        self.values.append(encoded)

    def finish(self, parent: int | None, columns: list[types.Column]) -> None:
        values = self.values
        validity = bits(values) if None in values else None
        made = _values(self.data_type, values)
        columns.append(types.Column(self.name, parent, self.offsets, made, validity))
        at = len(columns) - 1
        for field in self.fields.values():
            field.finish(at, columns)


def bits(values: list) -> bytes:
    """Which are there, a bit each."""
    made = bytearray((len(values) + 7) // 8)
    for at, value in enumerate(values):
        if value is not None:
            made[at >> 3] |= 1 << (at & 7)
    return bytes(made)


def _values(data_type: DataType, values: list):
    if data_type is DataType.RECORD:
        return types.Values_Records()
    if data_type in TEXTS:
        return TEXTS[data_type](texts([b"" if value is None else value for value in values]))
    numbers = [0 if value is None else value for value in values]
    if data_type is DataType.BOOLEAN:
        return types.Values_Booleans(bytes(numbers))
    if data_type is DataType.FLOAT64:
        return types.Values_Float64s([float(number) for number in numbers])
    if data_type is DataType.DECIMAL:
        words = []
        for number in numbers:
            words += (number & _WORD, number >> 64 & _WORD)
        return types.Values_Decimals(words)
    return NUMBERS[data_type](numbers)


def _alike(read: Reader | None, node: Node) -> Reader | None:
    """What was read of a column that is written, where that is of the same type: of a record the fields that are
    announced and of the same type, since it is written without its others."""
    if read is None or read.data_type is not node.data_type or (read.offsets is None) is not (node.offsets is None):
        return None
    if node.data_type is not DataType.RECORD:
        return read
    alike = Reader(read.column)
    fields = {name: _alike(read.fields.get(name), field) for name, field in node.fields.items()}
    alike.fields = {name: field for name, field in fields.items() if field is not None}
    return alike


class Root:
    """A column that is written: one of the batch itself, or of a record of the batch that stays."""

    def __init__(self, spec, writes, roots: dict[str, Reader]):
        self.path = spec.path
        self.node = Node(spec.path, spec, writes)
        # The records that it is a field of, outermost first.
        self.records: list[Reader] = []
        fields = roots
        *records, name = spec.path.split(".")
        for record in records:
            if record not in fields:
                told = f"`{spec.path}` is written, but there is no record to write it to: read that"
                raise KeyError(told)
            self.records.append(fields[record])
            fields = fields[record].fields
        self.in_list = any(record.offsets is not None for record in self.records)
        self.kept = _alike(fields.get(name), self.node)
        self._is_flat = not self.in_list and not spec.repeated and self.kept is not None
        self._is_flat = self._is_flat and spec.data_type is not DataType.RECORD

    def encode(self, value, row: int):
        """What is set of a row, as `push` takes it; raises where that cannot be."""
        if not self.records:
            return self.node.encode(value)
        places = self._places(row)
        if self.in_list:
            if value is None:
                return [self.node.encode(None) for _ in places]
            if not isinstance(value, (list, tuple)) or len(value) != len(places):
                wanted = f"set a list with a value for each of {len(places)} elements"
                told = f"`{self.path}` lies in a list: {wanted}"
                raise ValueError(told)
            return [self.node.encode(element) for element in value]
        if value is not None and not all(record.is_valid(row) for record in self.records):
            raise ValueError(f"`{self.path}` is set where its record is None")
        return self.node.encode(value)

    def push(self, encoded) -> None:
        """Adds what was set for a row."""
        if self.in_list:
            for element in encoded:
                self.node.push(element)
        else:
            self.node.push(encoded)

    def keep(self, row: int) -> None:
        """Adds what was read of a row, or None."""
        if self._is_flat:
            self.node.push(self.kept.raw(row))
            return
        for place in self._places(row):
            value = None if self.kept is None else self.kept.value(place)
            self.node.push(self.node.encode(value))

    def _places(self, row: int) -> range:
        places = range(row, row + 1)
        for record in self.records:
            places = record.below(places)
        return places

    def finish(self, came_from: list[int] | None, columns: list[types.Column]) -> None:
        """Adds the finished columns."""
        parent = None
        for depth, record in enumerate(self.records):
            name = record.column.name
            there = (
                at
                for at, column in enumerate(columns)
                if column.parent == parent and column.name == name
            )
            at = next(there, None)
            if at is None:
                given = record.column
                offsets, validity = given.offsets, given.validity
                if came_from is not None:
                    offsets, validity = self._repeated(depth, came_from)
                columns.append(types.Column(name, parent, offsets, given.values, validity))
                at = len(columns) - 1
            parent = at
        self.node.finish(parent, columns)

    def _repeated(self, depth: int, came_from: list[int]):
        """What rows hold of a record, for each of those given."""
        record, outer = self.records[depth], self.records[:depth]
        offsets, there = [0], []
        for row in came_from:
            places = range(row, row + 1)
            for each in outer:
                places = each.below(places)
            for place in places:
                values = record.below(range(place, place + 1))
                offsets.append(offsets[-1] + len(values))
                there += [True if record.is_valid(value) else None for value in values]
        validity = bits(there) if None in there else None
        return (offsets if record.offsets is not None else None), validity


def roots(writes: list[types.ColumnSpec], read: dict[str, Reader]) -> dict[str, Root]:
    """The columns that are written, by path: without those of which the record is written too."""
    paths = {spec.path for spec in writes}
    own = [spec for spec in writes if spec.path.rpartition(".")[0] not in paths]
    return {spec.path: Root(spec, writes, read) for spec in own}
