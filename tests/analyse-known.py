#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tell the warnings in a build's output that are not among the known ones.

Usage: analyse-known.py ROOT LOG

ROOT/tests/analyse.known has those that are known to be false, and why. One is known by
the source that was compiled, the line that it is about, and its class; where the line
is in a header, by that, too.
"""

import pathlib
import re
import sys

BUILDING = re.compile(r"\[\d+/\d+\] Building C object (?:\S+/)?CMakeFiles/[^/]+\.dir/(\S+)\.o$")
WARNING = re.compile(r"(/\S+?):(\d+):\d+: warning: .*\[(-W[\w=+-]+)\]$")


def source_of(root: pathlib.Path, line: str) -> str | None:
    """What ninja says that it has compiled, from the root."""
    match = BUILDING.search(line)
    if not match:
        return None
    folder = line.split("Building C object ")[1].split("CMakeFiles/")[0]
    path = (root / folder / match[1]).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


def warnings(root: pathlib.Path, log: str) -> dict[str, str]:
    """As they are listed, each with what the compiler said first."""
    found: dict[str, str] = {}
    source = None
    for line in log.splitlines():
        source = source_of(root, line) or source
        if not (match := WARNING.match(line)):
            continue
        path = pathlib.Path(match[1])
        text = path.read_text(encoding="utf-8").splitlines()[int(match[2]) - 1].strip()
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else match[1]
        where = name if name == source else f"{source}: {name}"
        found.setdefault(f"{where}: {text} [{match[3]}]", line)
    return found


def main(root: pathlib.Path, log: pathlib.Path) -> int:
    """See the head of this file."""
    listed = (root / "tests/analyse.known").read_text(encoding="utf-8").splitlines()
    known = {line for line in listed if line and line[0] not in "# "}
    found = warnings(root, log.read_text(encoding="utf-8", errors="replace"))
    for entry in sorted(found.keys() - known):
        print(f"{found[entry]}\n    {entry}")
    # another version of the compiler may be cleverer
    for entry in sorted(known - found.keys()):
        print(f"not told any more: {entry}")
    return 1 if found.keys() - known else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])))
