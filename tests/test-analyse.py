#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What analyse-known.py lets pass, and what not."""

import contextlib
import importlib.util
import io
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("known", HERE / "analyse-known.py")
known = importlib.util.module_from_spec(spec)
spec.loader.exec_module(known)

KNOWN = """# known
dom0/a.c: free(a); [-Wanalyzer-malloc-leak]
    it is not
dom0/a.c: common/b.h: use(b); [-Wanalyzer-malloc-leak]
    as above
"""


class KnownTest(unittest.TestCase):
    """Warnings of a build."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        for name, text in (("tests/analyse.known", KNOWN), ("common/b.h", "use(b);\n"),
                           ("dom0/a.c", "free(a);\nfree(b);\n"), ("dom0/c.c", "\n")):
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")

    def told(self, *lines: tuple[str, str, int, str]) -> tuple[int, str]:
        """Of warnings in (compiled source, file, line, class)."""
        log = self.root / "log"
        log.write_text("".join(
            f"[1/2] Building C object dom0/CMakeFiles/lib.dir/{source}.o\n"
            f"{self.root}/{path}:{line}:5: warning: it says [CWE-401] [-Wanalyzer-{kind}]\n"
            for source, path, line, kind in lines), encoding="utf-8")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = known.main(self.root, log)
        return status, output.getvalue()

    def test_what_is_listed_passes(self):
        self.assertEqual(self.told(("a.c", "dom0/a.c", 1, "malloc-leak"),
                                   ("a.c", "common/b.h", 1, "malloc-leak")), (0, ""))

    def test_another_line_class_or_source_does_not(self):
        for words in (("a.c", "dom0/a.c", 2, "malloc-leak"),
                      ("a.c", "dom0/a.c", 1, "double-free"),
                      ("c.c", "common/b.h", 1, "malloc-leak"),
                      ("c.c", "dom0/a.c", 1, "malloc-leak")):
            status, text = self.told(words)
            self.assertEqual(status, 1)
            self.assertIn("warning: it says", text)

    def test_what_is_not_told_any_more_is_no_failure(self):
        status, text = self.told(("a.c", "dom0/a.c", 1, "malloc-leak"))
        self.assertEqual(status, 0)
        self.assertIn("not told any more: dom0/a.c: common/b.h", text)


if __name__ == "__main__":
    unittest.main()
