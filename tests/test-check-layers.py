#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each violation that check-layers.py is there for is found in a small tree."""

import contextlib
import importlib.util
import io
import pathlib
import tempfile
import unittest

SPEC = importlib.util.spec_from_file_location(
    "check_layers", pathlib.Path(__file__).with_name("check-layers.py"))
check_layers = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_layers)

SPDX = "/* SPDX-License-Identifier: GPL-2.0-or-later */\n"
HEADER = SPDX + "#pragma once\n"


class CheckLayers(unittest.TestCase):
    def check(self, name: str, text: str) -> str:
        """What is said of a tree with this one file; empty: nothing."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
            with contextlib.redirect_stdout(io.StringIO()) as output:
                failed = check_layers.main(pathlib.Path(folder))
        found = [line for line in output.getvalue().splitlines()
                 if ": " in line]
        self.assertEqual(failed, bool(found))
        return "\n".join(found)

    def assert_good(self, name: str, text: str) -> None:
        self.assertEqual(self.check(name, text), "")

    def assert_bad(self, name: str, text: str, message: str) -> None:
        self.assertIn(message, self.check(name, text))

    def test_includes_may_point_down(self):
        for name, include in (
                ("common/a.c", '"common/b.h"'),
                ("common/wire/a.c", '"common/b.h"'),
                ("common/wire/a.c", "<jansson.h>"),
                ("common/sys/a.c", "<sys/socket.h>"),
                ("common/util.h", "<unistd.h>"),
                ("dom0/core/a.c", '"common/b.h"'),
                ("dom0/wire/a.c", '"common/wire/b.h"'),
                ("dom0/io/a.c", '"dom0/wire/b.h"'),
                ("dom0/io/a.c", '"dom0/io/a.h"'),
                ("dom0/main.c", '"dom0/io/b.h"'),
                ("dom0/ctl/a.c", '"common/sys/b.h"'),
                ("sysusb/io/a.c", '"sysusb/core/b.h"'),
                ("tests/unit/a.c", '"dom0/io/b.h"')):
            begin = HEADER if name.endswith(".h") else SPDX
            with self.subTest(name=name, include=include):
                self.assert_good(name, begin + f"#include {include}\n")

    def test_includes_must_not_point_up_or_across(self):
        for name, include in (
                ("common/a.c", '"common/wire/b.h"'),
                ("common/a.h", '"common/sys/b.h"'),
                ("common/a.c", '"dom0/core/b.h"'),
                ("common/wire/a.c", '"common/sys/b.h"'),
                ("common/sys/a.c", '"common/wire/b.h"'),
                ("dom0/core/a.c", '"common/wire/b.h"'),
                ("dom0/core/a.c", '"common/sys/b.h"'),
                ("dom0/core/a.c", '"dom0/wire/b.h"'),
                ("dom0/core/a.c", '"dom0/b.h"'),
                ("dom0/wire/a.c", '"dom0/io/b.h"'),
                ("dom0/wire/a.c", '"common/sys/b.h"'),
                ("dom0/io/a.c", '"dom0/b.h"'),
                ("dom0/ctl/a.c", '"dom0/io/b.h"'),
                ("dom0/main.c", '"sysusb/core/b.h"'),
                ("sysusb/core/a.c", '"sysusb/io/b.h"'),
                ("sysusb/io/a.c", '"dom0/core/b.h"'),
                ("sysusb/main.c", '"tests/support/b.h"')):
            begin = HEADER if name.endswith(".h") else SPDX
            with self.subTest(name=name, include=include):
                self.assert_bad(name, begin + f"#  include {include}\n",
                                "must not include")

    def test_adapters_do_not_include_each_other(self):
        for name in ("dom0/io/a.c", "dom0/io/a.h", "sysusb/io/a.c"):
            folder = name.rpartition("/")[0]
            begin = HEADER if name.endswith(".h") else SPDX
            self.assert_bad(name, begin + f'#include "{folder}/b.h"\n',
                            "an adapter must not include another")

    def test_the_pure_folders_do_no_io(self):
        for name, header in (("common/a.c", "stdio.h"),
                             ("common/a.c", "unistd.h"),
                             ("common/a.c", "jansson.h"),
                             ("common/wire/a.c", "sys/socket.h"),
                             ("dom0/core/a.c", "time.h"),
                             ("dom0/core/a.c", "jansson.h"),
                             ("dom0/wire/a.c", "systemd/sd-event.h"),
                             ("sysusb/core/a.c", "libudev.h")):
            with self.subTest(name=name, header=header):
                self.assert_bad(name, SPDX + f"#include <{header}>\n",
                                "is pure")

    def test_a_new_folder_must_be_given_its_place(self):
        self.assert_bad("dom0/helpers/a.c", SPDX, "is no layer")

    def test_every_file_says_its_licence(self):
        self.assert_bad("common/a.c", "int a;\n", "no SPDX line")
        self.assert_bad("tests/a.py", "pass\n", "no SPDX line")
        self.assert_bad("tests/a", "#!/bin/bash\n", "no SPDX line")
        self.assert_bad("packaging/cmake/A.cmake", "", "no SPDX line")

    def test_a_header_begins_with_pragma_once(self):
        self.assert_bad("common/a.h", SPDX, "#pragma once")
        self.assert_bad("common/a.h", SPDX + "#include <errno.h>\n"
                        "#pragma once\n", "#pragma once")
        self.assert_good("common/a.h", SPDX + "/* what */\n#pragma once\n")

    def test_no_variable_outlives_a_call(self):
        for line in ("int n;", "static int n;", "static int n = 1;",
                     "static bool seen[4];", "static Thing *thing;",
                     "static const char *names[] = {", "Thing thing = {",
                     "static struct Thing thing;", "unsigned long n;",
                     "_Thread_local int n;", "    static int n;",
                     "    static const char *name = NULL;"):
            with self.subTest(line=line):
                self.assert_bad("dom0/core/a.c", SPDX + line + "\n",
                                "only static const")

    def test_constants_types_and_functions_are_no_variables(self):
        for line in ("static const int n = 1;",
                     "static const char *const names[] = {",
                     "const Thing thing = {", "    static const Thing t;",
                     "int thing_new(Thing **ret);", "static int f(void)",
                     "struct Thing;", "typedef struct Thing Thing;",
                     "enum Thing {", "    int n = 1;", "    return n;",
                     "/* static int n; */", "static inline bool f(int n)",
                     "Thing *thing_free(Thing *thing)"):
            with self.subTest(line=line):
                self.assert_good("dom0/core/a.c", SPDX + line + "\n")

    def test_a_program_is_a_main_and_libraries(self):
        cmake = "# SPDX-License-Identifier: GPL-2.0-or-later\n"
        self.assert_bad("dom0/CMakeLists.txt",
                        cmake + "add_executable(d main.c daemon.c)\n",
                        "must be made of")
        self.assert_bad("dom0/CMakeLists.txt",
                        cmake + "add_executable(d daemon.c)\n",
                        "must be made of")
        self.assert_good("dom0/CMakeLists.txt",
                         cmake + "add_executable(d\n    ctl/main.c)\n")
        self.assert_bad("dom0/daemon.c", SPDX + "int main(void)\n",
                        "belongs into main.c")
        self.assert_good("sysusb/send-main.c", SPDX + "int main(void)\n")

    def test_lines_have_80_columns_and_no_tabs(self):
        self.assert_good("common/a.c", SPDX + "/*" + "x" * 76 + "*/\n")
        self.assert_bad("common/a.c", SPDX + "/*" + "x" * 77 + "*/\n",
                        "81 columns")
        self.assert_bad("common/a.c", SPDX + "\tx\n", "a tab")
        self.assert_bad("common/a.c", SPDX + "/* */ \n", "a tab, or blanks")

    def test_no_other_folder_stands_at_the_top(self):
        self.assert_bad("debian/rules", "", "debian: no folder")
        self.assert_good("packaging/debian/a.sh", "#!/bin/sh\n" + SPDX)

    def test_the_changelogs_tell_of_the_version(self):
        for news, debian, message in (
                ("1.2.0, unreleased", "(1.2.0) UNRELEASED", ""),
                ("1.2.0, 2026-11-26", "(1.2.0) unstable", ""),
                ("1.2.0, 2026-11-26", "(1.2.0) UNRELEASED", "only one"),
                ("1.2.0, unreleased", "(1.2.0) unstable", "only one"),
                ("1.1.0, unreleased", "(1.2.0) UNRELEASED", "CHANGELOG.md"),
                ("1.2.0", "(1.2.0) UNRELEASED", "CHANGELOG.md"),
                ("1.2.0, unreleased", "(1.1.0) UNRELEASED", "debian/")):
            with self.subTest(news=news, debian=debian), \
                    tempfile.TemporaryDirectory() as folder:
                root = pathlib.Path(folder)
                (root / "version").write_text("1.2.0\n")
                (root / "CHANGELOG.md").write_text(f"# C\n\n## {news}\n")
                (root / "packaging/debian").mkdir(parents=True)
                (root / "packaging/debian/changelog").write_text(
                    f"qubes-autoattach {debian}; urgency=medium\n")
                said = "\n".join(check_layers.check_release(root))
                self.assertEqual(bool(said), bool(message))
                self.assertIn(message, said)

    def test_a_tree_without_sources_is_no_success(self):
        with tempfile.TemporaryDirectory() as folder:
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertTrue(check_layers.main(pathlib.Path(folder)))


if __name__ == "__main__":
    unittest.main()
