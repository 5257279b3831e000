# SPDX-License-Identifier: GPL-2.0-or-later
"""One row a figure: for people a table, for programs JSON."""

import dataclasses

HEADINGS = ("what", "median", "p99", "floor", "floor p99", "ratio", "ratio p99",
            "unit", "aim")


@dataclasses.dataclass
class Row:
    """A figure. `floor` is what it is compared with, measured in the same run."""

    section: str
    what: str
    unit: str
    median: float | None
    p99: float | None = None
    floor: float | None = None
    floor_p99: float | None = None
    aim: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Of the medians."""
        return self.median / self.floor if self.median and self.floor else None

    @property
    def ratio_p99(self) -> float | None:
        """Of the 99th of 100."""
        return self.p99 / self.floor_p99 if self.p99 and self.floor_p99 else None

    def as_json(self) -> dict:
        """With the ratios."""
        return {**dataclasses.asdict(self), "ratio": self.ratio,
                "ratio_p99": self.ratio_p99}

    def cells(self) -> list[str]:
        """For the table."""
        return [self.what, number(self.median), number(self.p99),
                number(self.floor), number(self.floor_p99),
                number(self.ratio, 2), number(self.ratio_p99, 2), self.unit,
                self.aim]


def number(value: float | None, digits: int | None = None) -> str:
    """Three or four figures, whatever its size."""
    if value is None:
        return ""
    if digits is None:
        digits = 0 if abs(value) >= 100 or value == int(value) else \
            1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"


def against(section: str, what: str, ours, floor, aim: str = "",
            unit: str = "us") -> Row:
    """A row of two Samples."""
    return Row(section, what, unit, ours.median(), ours.p99(), floor.median(),
               floor.p99(), aim)


def show(rows: list[Row]) -> str:
    """The table, with a line for each section and its notes."""
    lines: list[list[str] | str] = [list(HEADINGS)]
    section = None
    for row in rows:
        if row.section != section:
            section = row.section
            lines += ["", section]
        lines.append(["  " + row.cells()[0], *row.cells()[1:]])
        if row.note:
            lines.append(f"      {row.note}")
    cells = [line for line in lines if isinstance(line, list)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADINGS))]
    return "\n".join(line if isinstance(line, str) else _align(line, widths)
                     for line in lines)


def _align(line: list[str], widths: list[int]) -> str:
    left = {0, len(HEADINGS) - 1, len(HEADINGS) - 2}
    return "  ".join(
        cell.ljust(width) if i in left else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
