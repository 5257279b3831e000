#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Change the code in many small ways, and see whether the tests notice.

Usage: mutate.py TREE BUILD EXPLAINED CAUGHT NUMBER [PATH...]

TREE is a copy of the sources, BUILD is built from it, CAUGHT is what earlier runs
have left; see mutate.sh. The kinds:

    negate   the condition of an if or while
    drop     a check: its condition is never true
    off      by one: < and <=, > and >=, "+ 1", "- 1"
    logic    && and ||
    equal    == and !=
    answer   true and false, 0 and an error
    enum     another one of the same family
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
from typing import Iterator, NamedTuple

SEED = "20261125"
CAUGHT_MIN = 95.0
# a test that takes so much longer than usual hangs
HANGS_TIMES, HANGS_S = 10, 10
# one that takes longer is asked only about what it is made for
SLOW_S = 3.0

# The pure layers, in which all decisions are made and all bytes are parsed; but
# not what only shows.
FOLDERS = ("common", "common/wire", "dom0/core", "dom0/wire", "sysusb/core")
SHOWN = ("diagnostic.c", "manager-report.c", "report-wire.c", "rule-report.c")

# beside those whose name says it, the first that are asked
LIKELY = {
    "manager": ("test-manager", "test-manager-design", "prop-manager", "prop-model"),
    "job": ("prop-job", "test-manager", "test-manager-usb", "prop-manager"),
    "source": ("test-source", "test-manager-replug", "prop-manager"),
    "cover": ("prop-rule-cover", "test-rule-lint"),
    "relations": ("test-rule-lint",),
    "rule": ("test-rules-corpus", "test-ruleset", "prop-rules"),
    "glob": ("test-glob", "prop-rule-glob"),
    "admin": ("test-admin", "test-admin-listing", "test-admin-frame"),
    "record": ("test-record-wire", "test-record", "prop-record-wire"),
    "approval": ("test-approval", "prop-approval"),
    "export": ("test-udev-export",),
    "target": ("test-target-start", "test-manager", "test-approval"),
}

SWAPS = [
    ("off", re.compile(r" <= "), " < "),
    ("off", re.compile(r" < "), " <= "),
    ("off", re.compile(r" >= "), " > "),
    ("off", re.compile(r" > "), " >= "),
    # not what an array has room for: more of it makes no difference
    ("off", re.compile(r"(?<![A-Z]) \+ 1(?=[;,)\]])"), " + 2"),
    ("off", re.compile(r" - 1(?=[;,)\]])"), " - 0"),
    ("logic", re.compile(r" && "), " || "),
    ("logic", re.compile(r" \|\| "), " && "),
    ("equal", re.compile(r" == "), " != "),
    ("equal", re.compile(r" != "), " == "),
    ("answer", re.compile(r"\breturn true;"), "return false;"),
    ("answer", re.compile(r"\breturn false;"), "return true;"),
    ("answer", re.compile(r"\breturn 0;"), "return -5;"),
    ("answer", re.compile(r"\breturn -E[A-Z]+;"), "return 0;"),
    ("answer", re.compile(r" = true;"), " = false;"),
    ("answer", re.compile(r" = false;"), " = true;"),
]
# families of which one member is put for another
ENUM = re.compile(
    r"\b(STATUS|JOB|POLICY|PROMPT|ADMIN_ERROR|ATTACHMENT|POWER|HOLDING|"
    r"DESCRIPTOR|SESSION|ADMIN_FRAME|DEVICE_CLASS|RECORD|RULE_ACTION)_[A-Z_]+\b"
)
TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)+\'|/\*.*?\*/')


class Mutation(NamedTuple):
    """One change: characters @start to @end of @path become @new."""

    path: str
    line: int
    kind: str
    start: int
    end: int
    new: str
    # what it is called: file, function, line before and after
    key: str
    # the how manieth of this name it is
    copy: int

    def digest(self, *more: str) -> str:
        """Stays the same when other code changes."""
        words = "\0".join((SEED, self.key, str(self.copy), *more))
        return hashlib.sha256(words.encode()).hexdigest()


def function_at(text: str, at: int) -> str:
    """The name of the function that is defined around @at."""
    end = text.find("\n}", at)
    head = text.rfind("\n\n", 0, text.rfind("\n{", 0, max(end, at)))
    found = re.search(r"(\w+)\(", text[head:])
    return found[1] if found else ""


def key_of(path: str, text: str, start: int, end: int, new: str) -> str:
    """As they are told and listed."""
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", end)
    before = " ".join(text[begin:stop].split())
    after = " ".join((text[begin:start] + new + text[end:stop]).split())
    return f"{path}, {function_at(text, start)}(): {before} => {after}"


def blanked(text: str) -> str:
    """@text, with what is in quotes and comments made blank."""
    text = re.sub(
        r"/\*.*?\*/",
        lambda match: re.sub(r"[^\n]", " ", match[0]),
        text,
        flags=re.S,
    )
    lines = []
    is_macro = False
    for line in text.split("\n"):
        is_macro = line.startswith("#") or is_macro
        goes_on = line.endswith("\\")
        if is_macro:
            line = " " * len(line)
        is_macro = is_macro and goes_on
        lines.append(TEXT.sub(lambda match: "~" * len(match[0]), line))
    return "\n".join(lines)


def closing(code: str, at: int) -> int:
    """Where the bracket at @at closes."""
    depth = 0
    for i in range(at, len(code)):
        depth += {"(": 1, ")": -1}.get(code[i], 0)
        if depth == 0:
            return i
    raise ValueError("a bracket does not close")


def conditions(code: str) -> Iterator[tuple[str, int, int]]:
    """Of each if and while: the word, and its condition's place."""
    for match in re.finditer(r"\b(if|while) \(", code):
        first = match.end() - 1
        yield match[1], first, closing(code, first) + 1


def asserts(code: str) -> list[tuple[int, int]]:
    """A check of our own mistakes is no behaviour."""
    return [
        (match.start(), closing(code, match.end() - 1))
        for match in re.finditer(r"\bassert\(", code)
    ]


def siblings(name: str, tree: pathlib.Path, cache: dict[str, list[str]]) -> list[str]:
    """All members of the enum that @name is in."""
    if not cache:
        for header in sorted(tree.rglob("*.h")):
            for body in re.findall(r"enum \w+ \{(.*?)\}", header.read_text(), re.S):
                body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
                names = re.findall(r"^\s*([A-Z][A-Z0-9_]+)", body, re.M)
                for member in names:
                    cache[member] = [other for other in names if other != member]
    return cache.get(name, [])


def mutations(
    tree: pathlib.Path, path: str, cache: dict[str, list[str]]
) -> Iterator[Mutation]:
    """All changes to one file."""
    text = (tree / path).read_text()
    code = blanked(text)
    left_alone = asserts(code)
    n_keys: dict[str, int] = {}

    def make(kind: str, start: int, end: int, new: str) -> Iterator[Mutation]:
        if any(first <= start <= last for first, last in left_alone):
            return
        key = key_of(path, text, start, end, new)
        n_keys[key] = n_keys.get(key, 0) + 1
        line = text.count("\n", 0, start) + 1
        yield Mutation(path, line, kind, start, end, new, key, n_keys[key])

    for word, start, end in conditions(code):
        yield from make("negate", start, end, f"(!{text[start:end]})")
        if word == "if":
            yield from make("drop", start, end, f"(false && {text[start:end]})")
    for kind, pattern, new in SWAPS:
        for match in pattern.finditer(code):
            yield from make(kind, match.start(), match.end(), new)
    for match in ENUM.finditer(code):
        others = siblings(match[0], tree, cache)
        line = code[code.rfind("\n", 0, match.start()) + 1 : match.start()]
        if others and not re.search(r"\bcase |\[", line):
            choice = hashlib.sha256((SEED + line).encode()).digest()[0]
            other = others[choice % len(others)]
            yield from make("enum", match.start(), match.end(), other)


def files(tree: pathlib.Path) -> list[str]:
    """What is changed."""
    return [
        str(path.relative_to(tree))
        for folder in FOLDERS
        for path in sorted((tree / folder).glob("*.c"))
        if path.name not in SHOWN
    ]


def chosen(tree: pathlib.Path, number: int, paths: list[str]) -> list[Mutation]:
    """
    Those below @paths of @number that are spread over all, as many of each file
    as it has: mostly the same ones after the code has changed.
    """
    cache: dict[str, list[str]] = {}
    every = [m for path in files(tree) for m in mutations(tree, path, cache)]
    every = sorted(every, key=Mutation.digest)[:number]
    every = [m for m in every if m.path.startswith(tuple(paths))]
    return sorted(every, key=lambda m: (m.path, m.start, m.kind, m.new))


class Tests:
    """The unit, property and fault tests of a build."""

    def __init__(self, build: pathlib.Path) -> None:
        self.build = build
        self.inputs: dict[str, set[str]] = {}
        self.seconds: dict[str, float] = {}
        self.digests: dict[str, bytes] = {}
        self.of_faults: set[str] = set()
        wrapped = self.wrapped()
        for kind in ("unit", "property", "fault"):
            for program in sorted((build / "tests" / kind).iterdir()):
                if program.is_file() and os.access(program, os.X_OK):
                    name = f"tests/{kind}/{program.name}"
                    if kind == "fault":
                        self.of_faults.add(name)
                    if program.name not in wrapped:
                        self.inputs[name] = self.inputs_of(name)
                        self.measure(name)

    def wrapped(self) -> set[str]:
        """Those that run below a wrapper: they cannot be run alone."""
        told = subprocess.run(
            ["ctest", "--test-dir", str(self.build), "--show-only=json-v1"],
            check=True,
            capture_output=True,
        )
        commands = [test.get("command", []) for test in json.loads(told.stdout)["tests"]]
        return {
            pathlib.Path(command[1]).name
            for command in commands
            if command and command[0].endswith("umockdev-wrapper")
        }

    def measure(self, name: str) -> None:
        """How long it takes; it has to pass while nothing is changed."""
        begun = time.monotonic()
        self.seconds[name] = 60.0
        if by := self.notice(name):
            sys.exit(f"mutate: {by} fails although nothing was changed")
        self.seconds[name] = time.monotonic() - begun
        self.digests[name] = self.digest(name)

    def digest(self, name: str) -> bytes:
        """Of the program: the same one need not be run again."""
        return hashlib.sha256((self.build / name).read_bytes()).digest()

    def inputs_of(self, name: str) -> set[str]:
        """The sources that a test is made of."""
        out = subprocess.run(
            ["ninja", "-C", str(self.build), "-t", "inputs", name],
            check=True,
            capture_output=True,
            text=True,
        )
        return set(out.stdout.split())

    def of(self, source: pathlib.Path) -> list[str]:
        """Those that the source is part of, the likeliest to notice first."""
        stem = source.stem
        likely: list[str] = []
        for word, names in LIKELY.items():
            if word in stem:
                likely.extend(names)

        unlikely = (1, len(likely))

        def rank(name: str) -> tuple[int, int, float]:
            base = name.rsplit("/", 1)[1]
            if name in self.of_faults:  # the last
                return (2, 0, self.seconds[name])
            own = base in (f"test-{stem}", f"prop-{stem}")
            place = likely.index(base) if base in likely else len(likely)
            return (0 if own else 1, place, self.seconds[name])

        return sorted(
            (
                name
                for name, inputs in self.inputs.items()
                if any(str(source) == path for path in inputs)
                and (self.seconds[name] < SLOW_S or rank(name)[:2] < unlikely)
            ),
            key=rank,
        )

    def notice(self, name: str) -> str:
        """How it fails, "" if it does not."""
        built = subprocess.run(
            ["ninja", "-C", str(self.build), name], capture_output=True, check=False
        )
        if built.returncode != 0:
            return "the compiler"
        if self.digests.get(name) == self.digest(name):
            return ""
        try:
            ran = subprocess.run(
                [str(self.build / name)],
                cwd=self.build / "tests",
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=HANGS_TIMES * self.seconds[name] + HANGS_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{name} (it hangs)"
        return name if ran.returncode != 0 else ""


def try_one(mutation: Mutation, tree: pathlib.Path, tests: Tests) -> str:
    """Who notices it, or ""."""
    path = tree / mutation.path
    text = path.read_text()
    try:
        path.write_text(
            text[: mutation.start] + mutation.new + text[mutation.end :]
        )
        for name in tests.of(path.resolve()):
            by = tests.notice(name)
            if by:
                return by
        return ""
    finally:
        path.write_text(text)


def explanations(path: pathlib.Path) -> dict[str, str]:
    """KEY, and indented below it why it makes no difference."""
    found: dict[str, str] = {}
    key = ""
    for line in path.read_text().split("\n"):
        if line.startswith("#") or not line.strip():
            continue
        if line[0] != " ":
            key = line
            found[key] = ""
        else:
            found[key] = (found[key] + " " + line.strip()).strip()
    return found


def surroundings(tree: pathlib.Path) -> str:
    """
    A digest of what says, beside the changed file, who notices a change: all
    headers, and the tests. An explanation notices nothing.
    """
    found = hashlib.sha256()
    paths = [path for path in tree.rglob("*.h") if path.is_file()]
    paths += [path for path in (tree / "tests").rglob("*") if path.is_file()]
    for path in sorted(set(paths)):
        if path.name != "mutate.explained" and "__pycache__" not in path.parts:
            found.update(f"{path.relative_to(tree)}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


class Caught:
    """
    What earlier runs have seen caught, while its file was the same, and all
    headers and tests.
    """

    def __init__(self, path: pathlib.Path, tree: pathlib.Path) -> None:
        self.path = path
        self.tree = tree
        self.surroundings = surroundings(tree)
        lines = path.read_text().split("\n") if path.exists() else []
        self.by = dict(line.split(" ", 1) for line in lines if line)

    def digest(self, mutation: Mutation) -> str:
        """Of the change in the file that it is made in, and of those around."""
        text = (self.tree / mutation.path).read_text()
        return mutation.digest(text, self.surroundings)

    def find(self, mutation: Mutation) -> str:
        """Who has noticed it then."""
        return self.by.get(self.digest(mutation), "")

    def add(self, mutation: Mutation, by: str) -> None:
        """Kept at once, the run may be ended at any time."""
        with self.path.open("a") as file:
            file.write(f"{self.digest(mutation)} {by}\n")
            file.flush()
            os.fsync(file.fileno())


def main() -> int:
    """See the head of this file."""
    tree = pathlib.Path(sys.argv[1]).resolve()
    # what an earlier run has left in BUILD may be made of a change
    for path in files(tree):
        (tree / path).touch()
    explained = explanations(pathlib.Path(sys.argv[3]))
    caught = Caught(pathlib.Path(sys.argv[4]), tree)
    todo = chosen(tree, int(sys.argv[5]), sys.argv[6:] or [""])
    known = {mutation: caught.find(mutation) for mutation in todo}
    tests = Tests(pathlib.Path(sys.argv[2]).resolve())
    n_caught = n_void = n_explained = n_known = 0
    kinds: dict[str, list[int]] = {}
    survivors: list[str] = []
    noticed: list[str] = []

    for i, mutation in enumerate(todo, 1):
        begun = time.monotonic()
        by = known[mutation]
        n_known += bool(by)
        if not by:
            by = try_one(mutation, tree, tests)
            if by:
                caught.add(mutation, by)
        if by == "the compiler":
            n_void += 1
            continue
        count = kinds.setdefault(mutation.kind, [0, 0])
        count[1] += 1
        if by:
            n_caught += 1
            count[0] += 1
            noticed.append(by)
        elif mutation.key in explained:
            n_explained += 1
        else:
            survivors.append(f"line {mutation.line}, {mutation.kind}\n  {mutation.key}")
        if not known[mutation]:
            result = by or ("explained" if mutation.key in explained else "SURVIVES")
            print(
                f"{i}/{len(todo)} {mutation.path}:{mutation.line} {mutation.kind}: "
                f"{result}, {time.monotonic() - begun:.1f} s",
                flush=True,
            )

    n_tried = len(todo) - n_void
    print(f"\n{n_void} do not compile and do not count; of the others:")
    for kind, (n, tried) in sorted(kinds.items()):
        print(f"  {kind:<8} {n} of {tried} caught")
    for survivor in survivors:
        print(f"survives: {survivor}")
    share = 100.0 * n_caught / n_tried if n_tried else 0.0
    n_faults = sum(by.startswith("tests/fault/") for by in noticed)
    print(
        f"{n_tried} changes, {n_caught} caught ({share:.1f} %, {n_faults} of them "
        f"only where memory or a call fails), "
        f"{n_explained} explained, {len(survivors)} survive; "
        f"{n_known} tried in an earlier run"
    )
    return 0 if not survivors and share >= CAUGHT_MIN else 1


if __name__ == "__main__":
    sys.exit(main())
