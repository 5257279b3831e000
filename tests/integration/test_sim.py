# SPDX-License-Identifier: GPL-2.0-or-later
"""The simulated dom0 against WIRE.md; the cases are in tests/sim/selftest."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

# pylint: disable=wrong-import-position
from sim.selftest import (calls, devices, kept, native, qrexec,  # noqa: E402
                          services, streams, usb)

MODULES = (calls, devices, usb, native, streams, kept, services, qrexec)


def load_tests(loader: unittest.TestLoader, _tests, _pattern) -> unittest.TestSuite:
    """All cases of all modules."""
    return unittest.TestSuite(map(loader.loadTestsFromModule, MODULES))


if __name__ == "__main__":
    unittest.main()
