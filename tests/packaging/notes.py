# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run has measured: told together, above its last line."""

_lines: list[str] = []


def add(*lines: str) -> None:
    """Told at the end, in the order of the calls."""
    _lines.extend(lines)


def tell() -> None:
    """At the end."""
    if _lines:
        print()
    for line in _lines:
        print(f"   {line}")
