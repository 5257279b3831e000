# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting without polling: everybody who changes something says so."""

import asyncio
import collections.abc


class Changes:
    """Wakes those who wait for a condition whenever anything has changed."""

    def __init__(self):
        self._waiters: set[asyncio.Future] = set()
        # told of every change, before anybody else
        self.on_change: collections.abc.Callable = lambda: None

    def notify(self) -> None:
        """Something changed: let every waiter look again."""
        self.on_change()
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition: collections.abc.Callable,
                    timeout: float | None = None):
        """Return the first true value of condition(); TimeoutError after it."""
        async with asyncio.timeout(timeout):
            while not (value := condition()):
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.add(waiter)
                try:
                    await waiter
                finally:
                    self._waiters.discard(waiter)
            return value
