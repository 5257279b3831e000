#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: real forwarder, daemon and command, virtual stick, simulated dom0.

Run by demo.sh. Every line shows something that was seen: the times are those of
the simulated services' call log and of the daemon's own report.
"""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.integration.harness import BUILD, Daemon, Sim  # noqa: E402
from tests.sim.client import Process, temporary_directory  # noqa: E402

PLUG = ROOT / "tests" / "support" / "umockdev-plug"
STICK = "sandisk-ultra"
QUBES = {"sys-usb": {"state": "Running", "label": "red"},
         "backups": {"state": "Halted", "label": "green"},
         "work": {"state": "Running", "label": "blue"},
         "media-dvm": {"template_for_dispvms": True, "label": "red"}}
# what Qubes' own udev scripts in sys-usb tell qubesd of the stick
LISTED = [{"backend": "sys-usb", "port": "2-1", "class": "usb",
           "identity": "0781:5581:4C530001230822115281:u080650"},
          {"backend": "sys-usb", "port": "sda", "class": "block",
           "parent": "2-1", "interface": "1.0", "name": "DATA"},
          {"backend": "sys-usb", "port": "sda1", "class": "block",
           "parent": "sda"}]

ALLOW = "backup: allow block id 0781:5581 type disk to backups\n"
ASK = "any-stick: ask block type disk to { work @dispvm:media-dvm }\n"


def describe(call: dict) -> str | None:
    """A call that is part of the story, in words."""
    method, dest = call["method"], call["dest"]
    words = {
        "policy": "policy: may sys-usb's devices go to {dest}?",
        "admin.vm.device.block.Available": "qubesd: what is {arg} of {dest}?",
        "admin.vm.device.block.Attach": "qubesd: attach to {dest} exactly {arg}",
        "admin.vm.device.block.Detach": "qubesd: detach {arg} from {dest}",
        "admin.vm.Start": "qubesd: start {dest}",
        "admin.vm.CreateDisposable": "qubesd: a new disposable of {dest}",
        "policy.Ask": "prompt: {arg}, one of {targets}",
        "policy.Notify": "notification: {arg} to {dest}",
    }
    text = words.get(call["service"]) or words.get(method)
    if text is None:
        return None
    answer = bytes.fromhex(call["answer"])
    said = answer.split(b"\0")[1] if answer.startswith(b"2\0") else \
        b"" if answer.startswith(b"0\0") else answer
    text = text.format(arg=call["arg"], dest=dest,
                       targets=", ".join(call["detail"].get("targets", [])))
    return text + (f"  -> {said.decode('ascii', 'replace')}" if said else "")


def ending(outcome: dict) -> str:
    """The outcome, as dom0 knows it."""
    text = f"=> {outcome['code']} {outcome['status']}"
    if outcome["target"]:
        text += f" {'from' if outcome['code'] == 203 else 'to'} " \
                f"{outcome['target']}"
    return text + (", verified" if outcome["code"] == 200 else "")


class Show:
    """Prints one scene after the other."""

    def __init__(self, sim: Sim, daemon: Daemon, mock: pathlib.Path):
        self.sim, self.daemon, self.mock = sim, daemon, mock
        self.n_calls = len(sim.calls())
        self.serial = 0
        self.n_notices = 0

    def tell(self, word: str) -> None:
        """Plug or unplug the virtual stick."""
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(os.fspath(self.mock))
            server.sendall(f"{word}\t{STICK}\n".encode())
            answer = server.makefile().readline()
        if answer != "ok\n":
            raise SystemExit(f"umockdev-plug: {answer}")

    def outcome(self, device: str) -> dict:
        """The next outcome of the device."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            status = self.daemon.call("org.qubes-contrib.autoattach.GetStatus")
            found = [o for o in status["outcomes"]
                     if o["serial"] > self.serial and o["device"] == device]
            if found:
                self.serial = max(o["serial"] for o in status["outcomes"])
                return found[-1]
        raise SystemExit(f"no outcome\n{self.daemon.process.testimony()}")

    def scene(self, title: str, act, device: str = "sda") -> None:
        """Act, wait for what comes of it, and show the whole of it."""
        print(f"\n{title}")
        begin = time.time()
        act()
        outcome = self.outcome(device)
        if outcome["code"] == 200:
            self.n_notices += 1
            self.wait_notice()
        calls = self.sim.calls()
        end = outcome["time_usec"] / 1e6
        lines = [(begin, f"sys-usb: udev tells of {device}"),
                 (end - outcome["duration_usec"] / 1e6, "dom0: its record is "
                  "here" + (f", rule \"{outcome['rule']}\" matches"
                            if outcome["rule"] else ""))]
        lines += [(call["time"], text) for call in calls[self.n_calls:]
                  if (text := describe(call))]
        lines.append((end, ending(outcome)))
        self.n_calls = len(calls)
        for when, text in sorted(lines, key=lambda line: line[0]):
            print(f"  {(when - begin) * 1000:7.1f} ms  {text}")

    def wait_notice(self) -> None:
        """The notification comes behind the answer."""
        while sum(call["method"] == "policy.Notify"
                  for call in self.sim.calls()) < self.n_notices:
            pass

    def plug(self) -> None:
        """Into the simulated sys-usb: udev, and Qubes' own listing."""
        self.sim.plug(devices=LISTED)
        self.tell("plug")

    def unplug(self) -> None:
        """Out of it."""
        for device in reversed(LISTED):
            self.sim.unplug(backend="sys-usb", port=device["port"],
                            class_=device["class"])
        self.tell("unplug")


@contextlib.contextmanager
def forwarder(daemon: Daemon, directory: pathlib.Path):
    """The real one, below a mock udev; its folder of mock devices."""
    mock = directory / "mock.sock"
    served = subprocess.run([PLUG, "serve", mock], check=True, text=True,
                            stdout=subprocess.PIPE).stdout.strip()
    services = directory / "rpc"
    services.mkdir()
    (services / "autoattach.Event").symlink_to(daemon.event_socket)
    name, _, value = served.partition("=")
    process = Process(
        ["umockdev-wrapper", BUILD / "sysusb" / "qubes-autoattach-forwarder",
         "--qrexec-client", ROOT / "tests" / "sim" / "qrexec-client-vm"],
        directory, "forwarder", stdin=subprocess.DEVNULL,
        env={**os.environ, name: value, "SYSTEMD_DEVICE_VERIFY_SYSFS": "0",
             "SIM_QREXEC_DIR": os.fspath(services)})
    try:
        yield mock
    finally:
        process.end()
        subprocess.run([PLUG, "tell", mock, "quit"], check=False,
                       stdout=subprocess.DEVNULL)


def wait_for_picture(daemon: Daemon) -> None:
    """Until the forwarder has told what is plugged in: nothing yet."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = daemon.call("org.qubes-contrib.autoattach.GetStatus")
        if any(source["forwarder"] for source in status["sources"]):
            return
    raise SystemExit("the forwarder does not connect")


def main() -> None:
    """Three scenes and the status."""
    scenario = {"qubes": QUBES,
                "behaviour": {"start_delay": 0.25},
                "agent": {"script": ["allow:@dispvm:media-dvm", "deny"]}}
    with Sim(scenario) as sim, Daemon(sim, ALLOW) as daemon, \
            temporary_directory() as directory, \
            forwarder(daemon, directory) as mock:
        show = Show(sim, daemon, mock)
        wait_for_picture(daemon)

        print(f"Rule in dom0:  {ALLOW.strip()}")
        show.scene("A SanDisk Ultra is plugged into sys-usb; backups is halted:",
                   show.plug)
        show.scene("It is pulled out:", show.unplug)

        daemon.rules(ASK)
        daemon.reload()
        print(f"\nRule in dom0:  {ASK.strip()}")
        show.scene("The stick again; the person chooses a fresh disposable:",
                   show.plug)
        show.scene("It is pulled out:", show.unplug)
        show.scene("And once more; this time the person says no:", show.plug)

        print("\n$ qvm-autoattach status")
        sys.stdout.flush()
        subprocess.run([BUILD / "dom0" / "qvm-autoattach", "status", "--socket",
                        daemon.control_socket], check=True)
        show.unplug()


if __name__ == "__main__":
    main()
