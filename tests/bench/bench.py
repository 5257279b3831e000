#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures what the daemon and the command cost; run by tests/bench.sh.

Times are medians of many short rounds, and what is compared was measured in
turn with it. Nothing passes or fails by a time.
"""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import sys

# what is written belongs into memory, as /run does in dom0
if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK):
    os.environ["TMPDIR"] = "/dev/shm"

# pylint: disable=wrong-import-position
import costs  # noqa: E402
import events  # noqa: E402
import table  # noqa: E402

BENCHMARKS = {
    "latency": events.latency, "added": events.added, "chain": events.chain,
    "rules": events.rules, "burst": events.burst,
    "throughput": costs.throughput, "commands": costs.commands,
    "memory": costs.memory, "idle": events.idle, "start": costs.start,
    "syscalls": costs.syscalls, "instructions": costs.instructions,
}


@dataclasses.dataclass
class Scale:
    """How much of everything."""

    rounds: int = 2000
    rounds_simulated: int = 300
    rounds_chain: int = 300
    records_chain: int = 10000
    idle_seconds: float = 60
    rules: tuple = (10, 100, 1000, 10000)
    reloads: int = 15
    floods: int = 15
    records: int = 1000000
    programs: int = 40
    traced: int = 100


SMOKE = Scale(rounds=4, rounds_simulated=2, rounds_chain=2, records_chain=2,
              idle_seconds=0.1, rules=(10, 20, 30, 40), reloads=1, floods=1,
              records=2000, programs=1, traced=2)


def parse_arguments() -> argparse.Namespace:
    """What to do."""
    parser = argparse.ArgumentParser(
        prog="bench.sh", description="Measures. See CONTRIBUTING.md.")
    parser.add_argument("name", nargs="*",
                        help=f"only these of {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", action="store_true",
                        help="one JSON object in place of the table")
    parser.add_argument("--rounds", type=int, metavar="N",
                        help=f"samples of a latency ({Scale.rounds})")
    parser.add_argument("--smoke", action="store_true",
                        help="everything once: only to see that it runs")
    parser.add_argument("--keep-instructions", action="store_true",
                        help="count instructions and write instructions.txt")
    arguments = parser.parse_args()
    for name in arguments.name:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name}")
    return arguments


def machine() -> dict:
    """Where and when."""
    return {"time": datetime.datetime.now(datetime.timezone.utc)
            .isoformat(timespec="seconds"),
            "load": pathlib.Path("/proc/loadavg").read_text(
                encoding="ascii").split()[:3],
            "cpus": os.cpu_count(), "kernel": platform.release(),
            "temporary": os.environ.get("TMPDIR", "/tmp")}


def keep_instructions(bench: events.Bench) -> None:
    """Write the table that later runs are compared with."""
    libc = " ".join(platform.libc_ver())
    lines = ["# SPDX-License-Identifier: GPL-2.0-or-later",
             "# Instructions in user space, counted by callgrind; written by",
             "# tests/bench.sh --keep-instructions. Compilers and libraries",
             f"# make a difference: these are of {libc}, {platform.machine()}."]
    lines += [f"{count} {what}"
              for what, count in costs.count_instructions(bench).items()]
    costs.INSTRUCTIONS.write_text("\n".join(lines) + "\n", encoding="ascii")
    print("\n".join(lines[4:]))


def main() -> None:
    """Measure, one after the other, and tell."""
    arguments = parse_arguments()
    scale = SMOKE if arguments.smoke else Scale()
    if arguments.rounds:
        scale.rounds = arguments.rounds
    bench = events.Bench(scale)
    if arguments.keep_instructions:
        keep_instructions(bench)
        return
    before, rows = machine(), []
    for name in arguments.name or BENCHMARKS:
        if sys.stderr.isatty():
            print(f"bench: {name}", file=sys.stderr)
        rows += BENCHMARKS[name](bench)
    after = machine()
    if arguments.json:
        print(json.dumps({"begin": before, "end": after,
                          "rows": [row.as_json() for row in rows]}, indent=1))
        return
    print(f"{before['time']} to {after['time']}, {before['cpus']} CPUs, load "
          f"{before['load'][0]} to {after['load'][0]}, state in "
          f"{before['temporary']}\n")
    print(table.show(rows))


if __name__ == "__main__":
    main()
