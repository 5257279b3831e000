#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compile each header by itself: it must include whatever it needs.

Usage: check-headers.py ROOT COMPILER
"""

import concurrent.futures
import pathlib
import subprocess
import sys

FOLDERS = ("common", "dom0", "sysusb", "tests/support")
FLAGS = ("-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
         "-fsyntax-only", "-x", "c", "-")


def compiles(root: pathlib.Path, compiler: str, header: str) -> bool:
    # twice, since it must also bear that
    source = f'#include "{header}"\n' * 2
    done = subprocess.run([compiler, "-I", root, *FLAGS], input=source,
                          text=True, capture_output=True, check=False)
    if done.returncode != 0:
        print(f"{header} does not compile alone:\n{done.stderr}")
    return done.returncode == 0


def main(root: pathlib.Path, compiler: str) -> int:
    headers = [path.relative_to(root).as_posix() for folder in FOLDERS
               for path in sorted((root / folder).rglob("*.h"))]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        good = list(pool.map(lambda h: compiles(root, compiler, h), headers))
    print(f"{sum(good)} of {len(headers)} headers compile alone")
    return not headers or not all(good)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2]))
