#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What mutate.py remembers of earlier runs."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# pylint: disable=wrong-import-position
from tests.mutate import Caught, mutations  # noqa: E402

TREE = {"core/a.c": "int a(void)\n{\n    return 0;\n}\n",
        "core/b.c": "int b(void)\n{\n    return 0;\n}\n",
        "core/a.h": "int a(void);\n",
        "tests/unit/test-a.c": "int main(void)\n{\n    return a();\n}\n",
        "tests/mutate.explained": "# nothing yet\n"}


class CaughtTest(unittest.TestCase):
    """A change that was caught is not tried again while nothing is new."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = pathlib.Path(folder.name, "tree")
        self.path = pathlib.Path(folder.name, "caught")
        for name, text in TREE.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text)
        self.mutation = next(mutations(self.tree, "core/a.c", {}))
        Caught(self.path, self.tree).add(self.mutation, "tests/unit/test-a")

    def found(self) -> str:
        """What the next run knows."""
        return Caught(self.path, self.tree).find(self.mutation)

    def test_what_was_caught_is_known_to_the_next_run(self):
        self.assertEqual(self.found(), "tests/unit/test-a")

    def test_it_is_tried_again_after_its_file_a_header_or_a_test_has_changed(self):
        for name in ("core/a.c", "core/a.h", "tests/unit/test-a.c"):
            (self.tree / name).write_text("/* new */\n" + TREE[name])
            self.assertEqual(self.found(), "", name)
            (self.tree / name).write_text(TREE[name])
            self.assertEqual(self.found(), "tests/unit/test-a", name)

    def test_it_is_tried_again_after_a_test_came_or_went(self):
        more = self.tree / "tests/unit/test-b.c"
        more.write_text("")
        self.assertEqual(self.found(), "")
        more.unlink()
        (self.tree / "tests/unit/test-a.c").unlink()
        self.assertEqual(self.found(), "")

    def test_another_file_and_an_explanation_make_no_difference(self):
        for name in ("core/b.c", "tests/mutate.explained"):
            (self.tree / name).write_text("/* new */\n" + TREE[name])
            self.assertEqual(self.found(), "tests/unit/test-a", name)


if __name__ == "__main__":
    unittest.main()
