#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Print what the tests have run, from gcov's counts, and hold the limits.

Usage: coverage.py [--missing] [--no-limits] BUILD ROOT
"""

import gzip
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable

FOLDERS = ("common", "dom0", "sysusb")
LINES_MIN = 90.0
BRANCHES_MIN = 80.0
# all of what takes apart what others sent
DECODER = re.compile(r"(^|_)(parse|decode)(_|$)")


class File:
    """Counts of one source, over all objects that it is part of."""

    def __init__(self) -> None:
        self.lines: dict[int, int] = defaultdict(int)
        self.branches: dict[tuple[int, int], int] = defaultdict(int)
        self.functions: dict[str, tuple[int, int]] = {}
        self.unreachable: set[int] = set()


def gcov(gcda: pathlib.Path) -> dict:
    """What gcov says of one object."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["gcov", "--json-format", "--branch-probabilities", str(gcda)],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        (path,) = pathlib.Path(folder).glob("*.gcov.json.gz")
        return json.loads(gzip.open(path).read())


def assert_lines(source: list[str]) -> set[int]:
    """The lines of each assert(), whose failing branch is never taken."""
    found: set[int] = set()
    inside = 0
    for number, line in enumerate(source, 1):
        if inside == 0 and not re.search(r"\bassert\(", line):
            continue
        inside += line.count("(") - line.count(")")
        found.add(number)
        inside = max(inside, 0)
    return found


def switch_above(source: list[str], end: int) -> list[str] | None:
    """The lines of the switch that the brace at this index ends."""
    indent = re.match(r"( +)}$", source[end])
    if not indent:
        return None
    begin = end - 1
    while begin > 0 and not re.match(rf"{indent[1]}\S", source[begin]) or \
            source[begin].strip().startswith("case "):
        begin -= 1
    return source[begin:end] if source[begin].strip().startswith("switch (") else None


def last_way_out(source: list[str], end: int) -> set[int]:
    """Of a switch that ends at this index, the break behind which nothing else
    stands, and its cases."""
    at = end - 1
    if not switch_above(source, end) or source[at].strip() != "break;":
        return set()
    found = {at + 1}
    while re.match(r" *case \w+:$", source[at - 1]):
        found.add(at)
        at -= 1
    return found


def enumerators(texts: Iterable[str]) -> set[str]:
    """All that these sources and headers define."""
    return {
        word
        for text in texts
        for body in re.findall(r"\benum\b[^{;()]*\{([^}]*)\}", text)
        for word in re.findall(r"(?:^|,)\s*(\w+)", re.sub(r"(?s)/\*.*?\*/", "", body))
    }


def last_statement(lines: list[str]) -> str:
    """Of several lines, without its semicolon."""
    return " ".join(line.strip() for line in lines).rstrip("; ").split(";")[-1] \
        .split("{")[-1].split(":")[-1].strip()


def is_exhaustive(source: list[str], end: int, values: set[str]) -> bool:
    """Whether a switch that ends at this index is one over an enum, in which no value
    is without a case, as the compiler sees (-Wswitch-enum), and each case returns."""
    lines = switch_above(source, end) or []
    cases = [match[1] for line in lines if (match := re.match(r" *case (.*):$", line))]
    return bool(cases) and values.issuperset(cases) and not any(
        re.search(r"\bdefault:|\bbreak;|\bgoto\b", line) for line in lines) and \
        last_statement(lines).startswith("return ")


def unreachable_lines(source: list[str], values: set[str]) -> set[int]:
    """Each assert(false), the line behind it, which the compiler wants, and what of a
    switch leads there only; and what returns behind a switch that no value of the enum
    gets out of. @values are the enumerators that there are."""
    found: set[int] = set()
    for index, line in enumerate(source[1:], 1):
        if line.strip() == "assert(false);":
            found |= {index + 1, index + 2} | last_way_out(source, index - 1)
        elif re.match(r" +return\b.*;$", line) and is_exhaustive(source, index - 1, values):
            found.add(index + 1)
    return found


def collect(build: pathlib.Path, root: pathlib.Path) -> dict[str, File]:
    """All sources of ours that an object with a count stands for."""
    files: dict[str, File] = defaultdict(File)
    values = enumerators(path.read_text() for folder in FOLDERS
                         for path in (root / folder).rglob("*.[ch]"))
    for gcno in sorted(build.rglob("*.gcno")):
        relative = gcno.relative_to(build)
        if relative.parts[0] not in FOLDERS:
            continue
        gcda = gcno.with_suffix(".gcda")
        for entry in gcov(gcda if gcda.exists() else gcno)["files"]:
            path = (build / entry["file"]).resolve()
            try:
                name = str(path.relative_to(root))
            except ValueError:
                continue  # a library's header
            if pathlib.Path(name).parts[0] not in FOLDERS:
                continue
            source = path.read_text().split("\n")
            files[name].unreachable = unreachable_lines(source, values)
            add(files[name], entry, assert_lines(source))
    return files


def add(file: File, entry: dict, asserts: set[int]) -> None:
    """One object's counts to its source's."""
    for line in entry["lines"]:
        number = line["line_number"]
        file.lines[number] += line["count"]
        if number in asserts:
            continue
        for index, branch in enumerate(line["branches"]):
            file.branches[(number, index)] += branch["count"]
    for function in entry["functions"]:
        file.functions[function["name"]] = (
            function["start_line"],
            function["end_line"],
        )


def percent(part: int, whole: int) -> float:
    """Nothing is all of nothing."""
    return 100.0 * part / whole if whole else 100.0


def row(name: str, files: list[File]) -> tuple[float, float]:
    """Print one row of the table."""
    lines = [count for file in files for count in file.lines.values()]
    branches = [count for file in files for count in file.branches.values()]
    hit = sum(count > 0 for count in lines)
    taken = sum(count > 0 for count in branches)
    both = percent(hit, len(lines)), percent(taken, len(branches))
    print(
        f"{name:<36} {hit:>6}/{len(lines):<6} {both[0]:6.1f} % "
        f"{taken:>6}/{len(branches):<6} {both[1]:6.1f} %"
    )
    return both


def unread(name: str, file: File) -> list[str]:
    """The lines of decoders that no test has run."""
    return [
        f"{name}:{number}: not run, in {function}()"
        for function, (first, last) in sorted(file.functions.items())
        if DECODER.search(function)
        for number, count in sorted(file.lines.items())
        if first <= number <= last and count == 0
        and number not in file.unreachable
    ]


def main() -> int:
    """See the head of this file."""
    options = [arg for arg in sys.argv[1:] if arg.startswith("--")]
    build, root = (
        pathlib.Path(arg).resolve()
        for arg in sys.argv[1:]
        if not arg.startswith("--")
    )
    files = collect(build, root)
    if not files:
        print("coverage: there are no counts", file=sys.stderr)
        return 1

    print(f"{'':<36} {'lines':>13} {'':>8} {'branches':>15}")
    for name, file in sorted(files.items()):
        row(name, [file])
    print()
    folders = sorted({str(pathlib.Path(name).parent) for name in files})
    for folder in folders:
        row(
            folder + "/",
            [f for n, f in files.items() if str(pathlib.Path(n).parent) == folder],
        )
    lines, branches = row("all", list(files.values()))
    print()

    if "--missing" in options:
        for name, file in sorted(files.items()):
            for number, count in sorted(file.lines.items()):
                if count == 0:
                    print(f"{name}:{number}: not run")
    complaints = [line for name, file in files.items() for line in unread(name, file)]
    if lines < LINES_MIN:
        complaints.append(f"{lines:.1f} % of lines are less than {LINES_MIN} %")
    if branches < BRANCHES_MIN:
        complaints.append(
            f"{branches:.1f} % of branches are less than {BRANCHES_MIN} %"
        )
    n_decoders = sum(
        1 for file in files.values() for name in file.functions if DECODER.search(name)
    )
    print(f"{n_decoders} decoders; {len(complaints)} complaints")
    print("\n".join(complaints))
    return 1 if complaints and "--no-limits" not in options else 0


if __name__ == "__main__":
    sys.exit(main())
