# SPDX-License-Identifier: GPL-2.0-or-later
"""Many at once: a dock with twenty devices, and a disk with twelve partitions."""

import unittest

from usbcase import (ATTACHES, STICK, USB_ATTACH, USB_AVAILABLE, UsbCase, harness,
                     part_n, partitions, stick, stick_n, usb_n, world)

START = "admin.vm.Start"
BLOCK_ATTACH = "admin.vm.device.block.Attach"
N_DISKS, N_KEYS, N_PARTS = 10, 10, 12
# disks to vault and work, keys to work and calls, partitions to backups
RULES = ('parts: allow block type partition to backups\n'
         'safe: allow block path "*-usb-0:[1-5]" type disk to vault\n'
         'no: deny block path "*-usb-0:99" type disk\n'
         'disks: allow block type disk to work\n'
         'left: allow usb path "*-usb-0:1[1-5]" to work\n'
         'right: allow usb path "*-usb-0:*" to calls\n')


def disk_name(n: int) -> str:
    """sda, sdb, ... of the n-th, from 0."""
    return f"sd{chr(ord('a') + n)}"


def dock() -> list[dict]:
    """All of it, for the simulator: disks at 2-1.., keys at 2-11.., sdz at 2-99."""
    devices = []
    for n in range(N_DISKS):
        devices += stick(disk_name(n), f"2-{n + 1}", f"4C53000{n + 1}")
    for n in range(N_DISKS, N_DISKS + N_KEYS):
        devices.append({"backend": "sys-usb", "port": f"2-{n + 1}", "class": "usb",
                        "identity": f"1050:0407:{n}:u030101"})
    return devices + stick("sdz", "2-99", "4C530099") + partitions("sdz", N_PARTS)


def key_n(n: int) -> dict:
    """The properties of a key of the dock."""
    return usb_n(n, vendor_id="1050", product_id="0407", interfaces=["030101"],
                 serial=str(n))


class Dock(UsbCase):
    """All in one burst, before `synced`."""

    def rig(self, rules: str = RULES, state: str = "Halted", **more) -> harness.Rig:
        """The dock is there; its targets are halted."""
        return self.start(rules, world(state, dock(), qubes={
            name: {"state": state} for name in ("vault", "backups", "calls")},
            **more), unlimited=True)

    def burst(self, rig: harness.Rig) -> tuple[harness.EventConn, dict[str, int]]:
        """One write with the whole picture; the seq of each device."""
        connection = self.by_hand(rig)
        seqs = {}
        for n in range(N_DISKS):
            name = disk_name(n)
            seqs[name] = connection.present("block", name, parent=f"2-{n + 1}",
                                            **stick_n(n))
        for n in range(N_DISKS, N_DISKS + N_KEYS):
            port = f"2-{n + 1}"
            seqs[port] = connection.present("usb", port, **key_n(n))
        seqs["sdz"] = connection.present("block", "sdz", parent="2-99", **{
            **STICK, "path": "pci-0000:00:14.0-usb-0:99"})
        for n in range(1, N_PARTS + 1):
            seqs[f"sdz{n}"] = connection.present(
                "block", f"sdz{n}", parent="sdz",
                **part_n(n, path="pci-0000:00:14.0-usb-0:99"))
        connection.synced()
        return connection, seqs

    def assert_all(self, connection: harness.EventConn, seqs: dict[str, int],
                   good: tuple = (200,), **others: int) -> None:
        """Each is attached, but for the disk of the partitions and `others`."""
        codes = {"sdz": 300, **others}
        found = {device: connection.answer(seq)["code"]
                 for device, seq in seqs.items()}
        self.assertEqual({device: code for device, code in found.items()
                          if code not in ((codes[device],) if device in codes
                                          else good)}, {})

    def test_all_reach_their_targets_with_one_start_each(self):
        rig = self.rig()
        connection, seqs = self.burst(rig)
        self.assert_all(connection, seqs)
        rig.daemon.wait_no_jobs()
        starts = [call["dest"] for call in rig.sim.calls(method=START)]
        self.assertEqual(set(starts), {"backups", "calls", "vault", "work"})
        for target in ("work", "calls"):
            self.assertEqual(rig.sim.most_at_once(USB_ATTACH, dest=target), 1)
        self.assert_once(rig)
        self.assertEqual(rig.count("Detach"), 0)
        owners = {device["port"]: device["attachment"]
                  for device in rig.sim.state()["devices"]}
        self.assertEqual(owners["sda"], "vault")
        self.assertEqual(owners["sdj"], "work")
        self.assertEqual(owners["2-11"], "work")
        self.assertEqual(owners["2-20"], "calls")
        self.assertEqual(owners["sdz12"], "backups")

    def test_a_not_running_from_before_the_start_starts_nothing_again(self):
        # it was true when qubesd said so, and is read when the target is up
        rig = self.start("r: allow block type disk to work\n", world(
            "Halted", stick() + stick("sdb", "2-2", "4C530002")))
        connection = self.forwarder(rig)
        with rig.sim.held(method=BLOCK_ATTACH, arg="sys-usb+sdb+*",
                          phase="answer") as hold:
            late = connection.add("block", "sdb", parent="2-2", **stick_n(1))
            rig.sim.wait_held(id=hold)
            self.assert_told(connection, connection.add(
                "block", "sda", parent="2-1", **STICK), 200)
        self.assert_told(connection, late, 200)
        self.assertEqual(rig.count("Start"), 1)

    def test_with_slow_calls_in_any_order_the_same_holds(self):
        for seed in (1, 2, 3):
            with self.subTest(seed=seed):
                rig = self.rig(behaviour={"start_delay": 0.02})
                rig.sim.latency(method="admin.vm.device.*", seconds=0, most=0.03)
                connection, seqs = self.burst(rig)
                self.assert_all(connection, seqs)
                for target in ("work", "calls"):
                    self.assertEqual(rig.sim.most_at_once(USB_ATTACH, dest=target), 1)
                self.assert_once(rig)

    def test_block_devices_are_attached_in_parallel(self):
        rig = self.rig(state="Running")
        with rig.sim.held(method=BLOCK_ATTACH) as hold:
            connection, seqs = self.burst(rig)
            rig.sim.wait_held(id=hold, count=N_DISKS + N_PARTS)
        self.assert_all(connection, seqs)

    def test_each_is_isolated_from_the_failures_of_the_others(self):
        rig = self.rig(state="Running")
        rig.sim.qube_set(name="calls", usb_proxy=False)
        rig.sim.fault(method=BLOCK_ATTACH, arg="sys-usb+sda+*", do="garbage")
        rig.sim.fault(method="*.Available", arg="sdb", do="garbage")
        rig.sim.fault(method=USB_AVAILABLE, arg="2-11", do="exception",
                      type="QubesException", message="no")
        rig.sim.unplug(backend="sys-usb", port="2-3")
        rig.sim.set_identity(backend="sys-usb", port="sdd",
                             identity="abcd:0001::1.0")
        rig.sim.attach(backend="sys-usb", port="sde", target="work")
        connection, seqs = self.burst(rig)
        self.assert_all(connection, seqs, sda=300, sdb=300, sdc=300, sdd=300,
                        sde=300, **{f"2-{n}": 300 for n in (11, *range(16, 21))})
        codes = self.told_codes(rig)
        for device, code in (("sda", 502), ("sdb", 502), ("sdc", 404), ("sdd", 311),
                             ("sde", 310), ("2-11", 502), ("2-16", 521)):
            self.assertEqual(codes[device], code, device)

    def test_a_target_that_does_not_start_fails_its_own_devices_alone(self):
        rig = self.rig()
        rig.sim.fault(method=START, dest="vault", do="fail", count=-1)
        connection, seqs = self.burst(rig)
        self.assert_all(connection, seqs, **{disk_name(n): 300 for n in range(5)})
        codes = self.told_codes(rig)
        self.assertEqual([codes[disk_name(n)] for n in range(5)], [520] * 5)

    def test_what_fails_once_is_tried_again_each_for_itself(self):
        rig = self.rig(state="Running")
        for name in ("sda", "sdf", "sdz3"):
            rig.sim.fault(method=BLOCK_ATTACH, arg=f"sys-usb+{name}+*", do="fail")
        rig.sim.fault(method=USB_ATTACH, arg="sys-usb+2-12+*", do="fail")
        connection, seqs = self.burst(rig)
        self.assert_all(connection, seqs)
        self.assert_once(rig)
        for name in ("sda", "sdf", "2-12"):
            self.assertEqual(len(rig.calls(method=ATTACHES,
                                           arg=f"sys-usb+{name}+*")), 2)

    def test_there_is_one_prompt_at_a_time(self):
        rig = self.rig("ask: ask any to work\n", "Running",
                       agent={"default": "allow"})
        connection, seqs = self.burst(rig)
        self.assert_all(connection, seqs, **{f"sdz{n}": 300
                                             for n in range(1, N_PARTS + 1)},
                        sdz=200)
        self.assertEqual(rig.sim.state()["max_open_windows"], 1)
        self.assertEqual(len(rig.sim.calls(method="policy.Ask")),
                         N_DISKS + N_KEYS + 1)

    def test_the_dock_is_pulled_out_in_the_middle(self):
        rig = self.rig()
        with rig.sim.held(method=START, dest="work", phase="work") as hold:
            connection, seqs = self.burst(rig)
            rig.sim.wait_held(id=hold)
            rig.daemon.wait_status(lambda status: status["n_jobs"] <= 10, "ten left")
            for port in [f"2-{n + 1}" for n in range(N_DISKS + N_KEYS)] + ["2-99"]:
                rig.sim.unplug(backend="sys-usb", port=port)
            gone = [connection.remove("usb" if "-" in device else "block", device)
                    for device in seqs]
            for seq in gone:
                self.assert_told(connection, seq, 203)
        status = rig.daemon.wait_no_jobs()
        self.assertEqual(status["sources"][0]["n_devices"], 0)
        self.assertEqual(rig.sim.state()["devices"], [])
        self.assertNotIn(308, [o["code"] for o in status["outcomes"]])

    def test_qubesd_dies_in_the_middle(self):
        rig = self.rig()
        with rig.sim.held(method=START, phase="work") as hold:
            connection, seqs = self.burst(rig)
            rig.sim.wait_held(id=hold, count=4)
            # a job that qubesd has not answered anything yet would end 503
            for n in range(1, N_PARTS + 1):
                rig.sim.wait_call(method=BLOCK_ATTACH, done=True,
                                  arg=f"sys-usb+sdz{n}+*")
            rig.sim.crash(service="qubesd")
            rig.daemon.wait_status(
                lambda status: status["qubesd"]["state"] == "gone", "gone")
        rig.sim.restart(service="qubesd")
        # 201: its Attach was cut off, and did not show at the first look
        self.assert_all(connection, seqs, good=(200, 201))
        self.assert_once(rig)
        for target in ("work", "calls"):
            self.assertEqual(rig.sim.most_at_once(USB_ATTACH, dest=target), 1)

    def test_the_forwarder_sends_it_all_again_in_the_middle(self):
        rig = self.rig()
        with rig.sim.held(method=START, phase="work") as hold:
            first, _ = self.burst(rig)
            rig.sim.wait_held(id=hold, count=4)
            first.close()
            second, seqs = self.burst(rig)
            self.barrier(second)
        # 201: it went into its target while that was coming up
        for device, seq in seqs.items():
            self.assertIn(second.answer(seq)["code"],
                          (300,) if device == "sdz" else (200, 201), device)
        self.assert_once(rig)


if __name__ == "__main__":
    unittest.main()
