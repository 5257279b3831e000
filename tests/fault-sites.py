#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is there a test that lets it fail, for each place that takes memory or calls
the system?

Usage: fault-sites.py ROOT BUILD

The places are the calls in the built objects of what the programs of tests/fault
wrap; where one failed, those programs noted it in BUILD/tests/fault/sites when
they ran. ROOT/tests/fault/unreached has the places that none of them reaches,
and why.
"""

import collections
import pathlib
import re
import subprocess
import sys

FOLDERS = ("common", "dom0", "sysusb")
WRAPPERS = ("fault.c.o", "call-fault.c.o", "udev-fault.c.o", "loop.c.o")
# as objdump tells them: where in the source, a call, and what it calls. A jump
# to what is called last in a function leaves no address of its own.
SOURCE = re.compile(r"^(inlined by )?(/\S+):(\d+)")
CALL = re.compile(r"\s*[0-9a-f]+:\s+(?:\w+ )?call\b")
CALLED = re.compile(r"\bR_X86_64_\w+\s+(\w+)[-+]0x")

# before an exception that is none where root runs the tests
ROOT = "root: "

Place = tuple[str, int]


def tell(*command: object) -> str:
    return subprocess.run([str(word) for word in command], text=True,
                          capture_output=True, check=True).stdout


def wrapped(build: pathlib.Path) -> set[str]:
    objects = [path for path in (build / "tests").rglob("*.o")
               if path.name in WRAPPERS]
    return set(re.findall(r"\bT __wrap_(\w+)", tell("nm", *objects)))


def place(root: pathlib.Path, path: str, line: str) -> Place | None:
    inside = pathlib.Path(path)
    if not inside.is_relative_to(root) or not line.isdigit():
        return None
    name = inside.relative_to(root).as_posix()
    return (name, int(line)) if name.startswith(FOLDERS) else None


def first(root: pathlib.Path, chain: list[str]) -> Place | None:
    """Of "path:line", each inlined into the next: the first one of ours."""
    for line in chain:
        path, _, number = line.partition(" (")[0].rpartition(":")
        if at := place(root, path, number):
            return at
    return None


def calls(root: pathlib.Path, build: pathlib.Path) -> dict[Place, str]:
    """Each place with the name of what is called there."""
    objects = [path for folder in FOLDERS
               for path in sorted((build / folder).rglob("*.c.o"))]
    names = wrapped(build)
    found: dict[Place, str] = {}
    at, before = None, ""
    for line in tell("objdump", "-dlr", "--inlines", "--no-show-raw-insn",
                     *objects).splitlines():
        if match := SOURCE.match(line):
            # where the C library's headers call, it is who calls them
            if not match[1] or not at:
                at = place(root, match[2], match[3])
        elif match := CALLED.search(line):
            if match[1] in names and at and CALL.match(before):
                found[at] = match[1]
        else:
            before = line
    return found


def failed(root: pathlib.Path, build: pathlib.Path) -> set[Place]:
    found = set()
    for note in sorted((build / "tests/fault/sites").iterdir()):
        program = build / "tests/fault" / note.name
        # of another build of it
        if (not program.exists() or
                note.stat().st_mtime < program.stat().st_mtime):
            continue
        # the address behind a call may be of the next line
        behind = [int(site, 16) - 1 for site in note.read_text().split()]
        for chain in re.split(r"(?m)^0x.*\n", tell(
                "addr2line", "-aie", program, *map(hex, behind))):
            found.add(first(root, chain.splitlines()))
    return found - {None}


def exceptions(root: pathlib.Path) -> tuple[collections.Counter[str],
                                            set[str]]:
    """How many places each line excuses; and those that root's tests reach."""
    lines = (root / "tests/fault/unreached").read_text().splitlines()
    lines = [line for line in lines if line and line[0] not in "# "]
    of_root = {line[len(ROOT):] for line in lines if line.startswith(ROOT)}
    return (collections.Counter(line.removeprefix(ROOT) for line in lines),
            of_root)


def main(root: pathlib.Path, build: pathlib.Path) -> int:
    texts: dict[str, list[str]] = {}

    def shown(at: Place) -> str:
        name, line = at
        if name not in texts:
            texts[name] = (root / name).read_text().splitlines()
        return f"{name}: {texts[name][line - 1].strip()}"

    places = calls(root, build)
    missed = sorted(places.keys() - failed(root, build))
    excepted, of_root = exceptions(root)
    n_bad = 0
    for at in missed:
        excepted[shown(at)] -= 1
        if excepted[shown(at)] < 0:
            n_bad += 1
            print(f"{at[0]}:{at[1]}: no test lets this {places[at]}() fail")
    for line in sorted(+excepted):
        if line in of_root:
            continue
        n_bad += 1
        print(f"tests/fault/unreached: a test lets this fail, or it is no "
              f"more: {line}")
    print(f"{len(places)} places, {len(missed)} of them never fail")
    # none at all would be a fault of this program
    return n_bad > 0 or not places


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(),
                  pathlib.Path(sys.argv[2]).resolve()))
