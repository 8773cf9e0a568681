"""The first of some columns that says something, in one spelling.

White space at both ends is taken away, within it becomes one blank, and letters become small ones. A value that is
too long to be believed refuses its row. A row in which no column says anything gets None.
"""

from dataclasses import dataclass, field

from clickmill_plugin import DataType, Problems, Row, plugin, reject

# The columns that a value is looked for in, one after the other.
READS = [{{reads}}]
# The column that it is written to.
WRITES = "{{writes}}"


@dataclass
class Config:
    """The configuration, as a pipeline file has it. The texts below the fields are its documentation:
    `clickmill plugin inspect` prints them."""

    max_chars: int = 100
    """The longest value that is believed, in characters. A row with a longer one is refused."""
    spellings: dict[str, str] = field(default_factory=dict)
    """Values in small letters, each with the one that is written in its place."""

    def __post_init__(self) -> None:
        """Looks at the configuration, before any row. What is wrong with it is told all at once."""
        problems = []
        if self.max_chars < 1:
            problems.append(f"`max_chars` is {self.max_chars}, wanted at least 1")
        for spelling in self.spellings:
            if spelling != in_one_spelling(spelling):
                problems.append(f"`spellings` has `{spelling}`, which no value is")
        if problems:
            raise Problems(*problems)


# The columns, with their types. The pipeline file grants no others.
@plugin(reads=dict.fromkeys(READS, DataType.TEXT), writes={WRITES: DataType.TEXT})
def first_value(row: Row, config: Config) -> None:
    """Transforms one row, or refuses it: then it is a dead letter, and the others go on."""
    found = None
    for column in READS:
        value = in_one_spelling(row.text(column) or "")
        if len(value) > config.max_chars:
            told = f"has {len(value)} characters, wanted {config.max_chars} at most"
            raise reject("too_long", told, column)
        if value:
            found = config.spellings.get(value, value)
            break
    row[WRITES] = found


def in_one_spelling(value: str) -> str:
    return " ".join(value.split()).lower()
