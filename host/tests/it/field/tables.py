"""Writes tables of random text in many dialects: FOLDER/<setting>-<n>.csv, and what is in them, by setting,
to FOLDER/wanted.json. `csv` of the standard library writes, so that nothing of clickmill's does."""

import csv
import itertools
import json
import pathlib
import random
import sys

ROWS = 60
PIECES = ["a", "Z9", "é", "😀", " ", '"', "'", "\\", ",", ";", "\t", "\ufeff", ""]
LINE_ENDS = ["\n", "\r\n", "\r"]

folder = pathlib.Path(sys.argv[1])
dice = random.Random(20)
wanted = {}
number = 0
for delimiter, doubled in itertools.product(",;\t", (True, False)):
    setting = f"{ord(delimiter)}-{'doubled' if doubled else 'escaped'}"
    rows = wanted[setting] = []
    for quoting, end in itertools.product((csv.QUOTE_ALL, csv.QUOTE_MINIMAL), LINE_ENDS):
        number += 1
        # What is not quoted may not hold the end of a line: whether `csv` quotes it depends on its version.
        pieces = PIECES + (LINE_ENDS if quoting == csv.QUOTE_ALL else [])
        mark = "\ufeff" if number % 2 else ""
        with open(folder / f"{setting}-{number}.csv", "w", newline="", encoding="utf-8") as file:
            file.write(mark)
            writer = csv.writer(
                file,
                delimiter=delimiter,
                quoting=quoting,
                doublequote=doubled,
                escapechar=None if doubled else "\\",
                lineterminator=end,
            )
            writer.writerow(["id", "label", "price"])
            for row in range(ROWS):
                label = "".join(dice.choices(pieces, k=dice.randrange(9)))
                writer.writerow([number * 1000 + row, label, ""])
                rows.append({"id": number * 1000 + row, "label": label or None})
(folder / "wanted.json").write_text(json.dumps(wanted))
