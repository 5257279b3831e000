#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints which single tests were skipped and why, from ctest's LastTest.log."""

import re
import sys
import textwrap

# unittest -v says it in one line, cmocka after what SKIP() says
LINE = re.compile(r"^(?:(?P<name>\w+)\b.*)?\.\.\. skipped (?P<why>'.*'|\".*\")$|"
                  r"^skipped: (?P<before>.+)$|"
                  r"^\[  SKIPPED \] (?P<single>\w+)$")


def skipped(log: str) -> dict[str, list[str]]:
    """The tests by the reason, each as often as it was skipped."""
    found: dict[str, list[str]] = {}
    why = None
    for line in log.splitlines():
        match = LINE.match(line)
        if not match:
            continue
        if match["why"]:
            found.setdefault(match["why"][1:-1], []).append(
                match["name"] or "without a name")
        elif match["before"]:
            why = match["before"]
        # cmocka lists them once more at its end
        elif why is not None:
            found.setdefault(why, []).append(match["single"])
            why = None
    return found


def main() -> None:
    """Nothing, if none was skipped."""
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        found = skipped(log.read())
    if not found:
        return
    print(f"Single tests that were skipped: {sum(map(len, found.values()))}")
    for why, names in sorted(found.items()):
        print(textwrap.fill(f"{why}: {', '.join(names)}", 80,
                            initial_indent="  ", subsequent_indent="    ",
                            break_on_hyphens=False, break_long_words=False))


if __name__ == "__main__":
    main()
