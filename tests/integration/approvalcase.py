# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of approval have in common.

At the end of each test two promises are checked of all that was asked: the
policy daemon was never asked without `just_evaluate`, and there was never more
than one prompt window at a time.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import harness  # noqa: E402
from daemoncase import (STICK, DaemonCase, stick, stick_n, sticks,  # noqa: E402
                        world)

ASK = "stick: ask block type disk to work\n"
CHOICE = "stick: ask block type disk to { work vault backups }\n"
ALLOW = "stick: allow block type disk to work\n"
CREATE = "admin.vm.CreateDisposable"
KILL = "admin.vm.Kill"
REMOVE = "admin.vm.Remove"
SHUTDOWN = "admin.vm.Shutdown"
# devices that are listed besides these are of no interest
TEMPLATES = {
    "dom0": {"class": "AdminVM", "state": "Running", "label": "black",
             "properties": {"default_dispvm": "default-dvm"}},
    "default-dvm": {"template_for_dispvms": True, "label": "orange"},
    "media-dvm": {"template_for_dispvms": True, "label": "green"}}


def policy(*rules: tuple, default: str = "allow") -> dict:
    """The simulated policy: (target, verdict), first match wins."""
    return {"default": default,
            "rules": [{"target": target, "verdict": verdict}
                      for target, verdict in rules]}


def question(target: str, *, assume: bool, source: str = "sys-usb") -> bytes:
    """A question as WIRE 3 writes it."""
    return (f"source=dom0\nintended_target={target}\n"
            f"service_and_arg=autoattach.Attach+{source}\njust_evaluate=yes\n"
            + "assume_yes_for_ask=yes\n" * assume + "\n").encode("ascii")


def qubes(**more) -> dict:
    """The templates of disposables and others."""
    return {**TEMPLATES, **more}


class ApprovalCase(DaemonCase):
    """A test of what is asked, and of what an answer is worth."""

    # windows that may be open at a time, for the test of a lost limit
    windows_max = 1

    def start(self, rules: str = ASK, scenario: dict | None = None,
              **options) -> harness.Rig:
        """A rig; its promises are checked in the end."""
        rig = super().start(rules, scenario, **options)
        self.addCleanup(self.check_promises, rig)
        return rig

    def check_promises(self, rig: harness.Rig) -> None:
        """What holds whatever happens."""
        for call in rig.sim.calls(service="policy"):
            self.assertIn(b"\njust_evaluate=yes\n", bytes.fromhex(call["request"]))
        self.assertLessEqual(rig.sim.state()["max_open_windows"], self.windows_max)

    def ask(self, rules: str = ASK, scenario: dict | None = None,
            **options) -> tuple[harness.Rig, harness.EventConn, int]:
        """The stick was plugged in, and its window is open."""
        rig = self.start(rules, scenario, **options)
        connection = self.forwarder(rig)
        seq = connection.add("block", "sda", **STICK)
        rig.sim.wait_window()
        return rig, connection, seq

    def questions(self, rig: harness.Rig) -> list[bytes]:
        """What the policy daemon was asked, byte for byte."""
        return [bytes.fromhex(call["request"])
                for call in rig.sim.calls(service="policy")]

    def prompts(self, rig: harness.Rig) -> list[dict]:
        """What the person was shown."""
        return [json.loads(bytes.fromhex(call["request"]).partition(b"\0")[2])
                for call in rig.sim.calls(method="policy.Ask")]

    def windows(self, rig: harness.Rig) -> list[str]:
        """The arguments of the windows that are open."""
        return [window["params"]["argument"]
                for window in rig.sim.state()["windows"] if window["open"]]

    def assert_untouched(self, rig: harness.Rig) -> None:
        """Nothing was attached, started or made."""
        for method in ("*.Attach", "admin.vm.Start", CREATE):
            self.assertEqual(rig.sim.calls(service="qubesd", method=method), [])

    def assert_unasked(self, rig: harness.Rig) -> None:
        """The person was not bothered."""
        self.assertEqual(self.prompts(rig), [])

    def refused(self, rig: harness.Rig, connection: harness.EventConn, seq: int,
                code: int, detail: str | None = None) -> None:
        """The source is told 300, dom0 why; nothing was done."""
        self.assert_told(connection, seq, 300)
        self.assert_last(rig, "sda", code, detail)
        self.assert_untouched(rig)


__all__ = ["ALLOW", "ASK", "CHOICE", "CREATE", "KILL", "REMOVE", "SHUTDOWN",
           "STICK", "ApprovalCase", "harness", "policy", "question", "qubes",
           "stick", "stick_n", "sticks", "world"]
