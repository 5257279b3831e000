#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Histories of real programs in real time, many side by side; see live.sh."""

import argparse
import asyncio
import collections
import contextlib
import math
import multiprocessing
import os
import pathlib
import random
import resource
import signal
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import history  # noqa: E402
from machine import Ended, Mock  # noqa: E402
from judge import Finding  # noqa: E402
from play import Play  # noqa: E402

LANES = 16
HISTORY_S = 400.0
END_S = 30.0
MUST_OCCUR = (*history.KINDS, *history.HABITS)
# the least that shows that a kind is drawn at all
HISTORIES_FOR_ALL = 200
# of so many that were begun one may fail once, with --again
HISTORIES_FOR_ONE = 200


async def play_one(seed: int, mock: Mock) -> dict:
    """What came of one history."""
    play = Play(history.draw(seed), mock)
    begun = time.monotonic()
    failure = None
    try:
        await asyncio.wait_for(play.run(), HISTORY_S)
    except (Finding, Ended) as error:
        failure = str(error)
    except asyncio.TimeoutError:
        failure = f"not over after {HISTORY_S} s"
    except Exception:  # told as what it is: the test's own fault
        failure = traceback.format_exc()
    return {"seed": seed, "failure": failure, "counts": play.counts,
            "log": play.log if failure else [],
            "seconds": time.monotonic() - begun}


async def play_lane(seeds: list[int], report) -> None:
    """One after the other, on the same mock /sys as long as all goes well."""
    while seeds:
        mock = Mock()
        try:
            await mock.start()
            failure = None
            while seeds and not failure:
                result = await play_one(seeds.pop(0), mock)
                failure = result["failure"]
                report(result)
        finally:
            await mock.end()


def work(seeds: list[int], n_lanes: int, results) -> None:
    """A process with its share of the histories."""
    # its programs are of its group, and end with that
    os.setpgid(0, 0)

    async def lanes() -> None:
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, asyncio.current_task().cancel)
        await asyncio.gather(*(play_lane(seeds, results.put)
                               for _ in range(n_lanes)))
    try:
        asyncio.run(lanes())
    except asyncio.CancelledError:
        # nobody reads what is still in it
        results.cancel_join_thread()
    except BaseException:
        results.put({"seed": None, "failure": traceback.format_exc()})
        raise


def end_early(workers: list) -> None:
    """With all that they have begun, in good order if that goes."""
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.join()


def print_log(result: dict) -> None:
    """All that happened, with times."""
    for at, text in result["log"]:
        print(f"  {at:8.3f}  {text}")


def print_table(counts: collections.Counter) -> None:
    """How often each was seen."""
    for name in sorted(counts):
        print(f"  {name:18} {counts[name]:7}")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="live.sh")
    parser.add_argument("histories", type=int)
    parser.add_argument("seed", type=lambda text: int(text, 0), nargs="?")
    parser.add_argument("--only", type=int)
    parser.add_argument("--lanes", type=int, default=LANES)
    parser.add_argument("--log", action="store_true")
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--again", action="store_true")
    return parser.parse_args()


def fails_again(seed: int) -> bool:
    """Whether it fails once more, on its own."""
    results: multiprocessing.Queue = multiprocessing.Queue()
    worker = multiprocessing.Process(target=work, args=([seed], 1, results),
                                     daemon=True)
    worker.start()
    result = results.get()
    worker.join()
    if result["failure"]:
        print(f"    again: {result['failure']}", flush=True)
    return bool(result["failure"])


def main() -> int:
    """See the head of this file."""
    arguments = parse_arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    seed = arguments.seed if arguments.seed is not None else \
        random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed:#x}", flush=True)
    chance = random.Random(seed)
    seeds = [chance.randrange(1 << 48) for _ in range(arguments.histories)]
    if arguments.only is not None:
        seeds = [seeds[arguments.only]]
    numbers = {value: n for n, value in enumerate(seeds)}

    begun = time.monotonic()
    results: multiprocessing.Queue = multiprocessing.Queue()
    n_workers = min(os.cpu_count() or 1, len(seeds))
    workers = [multiprocessing.Process(
        target=work, args=(seeds[n::n_workers], arguments.lanes, results),
        daemon=True)
        for n in range(n_workers)]
    for worker in workers:
        worker.start()
    counts: collections.Counter = collections.Counter()
    failed: list[int] = []
    for n_done in range(1, len(seeds) + 1):
        result = results.get()
        if result["seed"] is None:
            print(result["failure"])
            return 1
        counts.update(result["counts"])
        if result["failure"]:
            failed.append(result["seed"])
            number = numbers[result["seed"]] if arguments.only is None \
                else arguments.only
            print(f"history {number} after {result['seconds']:.0f} s: "
                  f"{result['failure']}\n    repeat: tests/live.sh "
                  f"{arguments.histories} {seed:#x} --only {number}",
                  flush=True)
            if arguments.only is not None or arguments.log:
                print_log(result)
            if arguments.first:
                print(f"first failure after {n_done} histories")
                end_early(workers)
                return 1
        if n_done % 100 == 0:
            print(f"{n_done} histories, {time.monotonic() - begun:.0f} s",
                  flush=True)
    for worker in workers:
        worker.join()
    if arguments.again:
        again = [each for each in failed if fails_again(each)]
        print(f"{len(failed)} failed once, {len(again)} again")
        if len(failed) <= math.ceil(len(seeds) / HISTORIES_FOR_ONE):
            failed = again
    print_table(counts)
    missing = [name for name in MUST_OCCUR if not counts[name]] \
        if len(seeds) >= HISTORIES_FOR_ALL else []
    if missing:
        print(f"never occurred: {', '.join(missing)}")
    print(f"{len(seeds)} histories in {time.monotonic() - begun:.0f} s, "
          f"{len(failed)} failed")
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
