import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "sdk"))

from clickmill_plugin import Problems, testing  # noqa: E402
from plugin import READS, WRITES, first_value  # noqa: E402

CONFIG = {"max_chars": 12, "spellings": {"fb": "facebook"}}


def run(value: str) -> testing.Output:
    """Runs the plugin over one row, in which the last column has this value and those before it have none."""
    return testing.run(first_value, [{READS[-1]: value}], CONFIG)


class FirstValue(unittest.TestCase):
    def test_values_are_in_one_spelling(self):
        for value, wanted in [
            ("  News \t Letter ", "news letter"),
            ("FB", "facebook"),
            ("", None),
            ("   ", None),
        ]:
            with self.subTest(value):
                self.assertEqual(run(value).rows[0][WRITES], wanted)

    def test_what_is_too_long_is_refused(self):
        self.assertEqual(run("a" * 12).rejections, {})
        refusal = run("a" * 13).rejections[0]
        self.assertEqual((refusal.code, refusal.column), ("too_long", READS[-1]))

    def test_a_configuration_is_checked_whole(self):
        with self.assertRaises(Problems) as raised:
            testing.configure(first_value, {"max_chars": 0, "spellings": {"FB": "facebook"}})
        self.assertEqual(len(raised.exception.problems), 2, raised.exception.problems)


if __name__ == "__main__":
    unittest.main()
