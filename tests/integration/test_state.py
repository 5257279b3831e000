# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon starts anew with what it kept (--state-dir)."""

import os
import pathlib
import unittest

from usbcase import (ANY, DISK, KEY, STICK, USB, USB_ATTACH, USB_DETACH,
                     UsbCase, harness, stick, world)

OTHER_BOOT = "fedcba9876543210fedcba9876543210"
START = "admin.vm.Start"
CREATE = "admin.vm.CreateDisposable"
TEMPLATE = {"media-dvm": {"template_for_dispvms": True, "label": "green"}}
BOTH = (("usb", "2-1", USB), ("block", "sda", {"parent": "2-1", **STICK}))
ONLY_USB = BOTH[:1]
WAYS = ("kill -9", "SIGTERM")


class RestartCase(UsbCase):
    """A daemon that ends, and starts again with what it kept."""

    def stop(self, rig: harness.Rig, how: str) -> None:
        """In good order, or not."""
        if how == "kill -9":
            rig.daemon.kill()
        else:
            rig.daemon.stop()

    def start_again(self, rig: harness.Rig) -> None:
        """With the same state folder; what it asks of qubesd first is over."""
        rig.mark()
        rig.daemon.start()
        rig.settle()

    def prompts(self, rig: harness.Rig) -> int:
        """How many windows the person has seen."""
        return len(rig.sim.calls(method="policy.Ask"))


class Kept(RestartCase):
    """What must not be asked or done twice outlives the daemon."""

    def test_what_is_attached_is_not_attached_twice(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start()
                self.attach_usb(rig)
                self.stop(rig, how)
                self.start_again(rig)
                again = self.picture(rig, devices=ONLY_USB)
                self.assert_told(again, 1, 201)
                self.assertEqual(rig.count("Attach"), 0)

    def test_it_is_still_ours_and_detached_with_its_plug(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start()
                self.attach_usb(rig)
                self.stop(rig, how)
                self.start_again(rig)
                again = self.picture(rig, devices=ONLY_USB)
                self.assert_told(again, 1, 201)
                self.assert_told(again, again.remove("usb", "2-1"), 203)
                self.assertEqual(rig.count("Detach"), 1)
                self.assert_attached(rig, "2-1", None)

    def test_it_is_detached_when_the_next_picture_lacks_it(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start()
                self.attach_usb(rig)
                self.stop(rig, how)
                self.start_again(rig)
                self.picture(rig)
                rig.sim.wait_detached(backend="sys-usb", port="2-1")

    def test_what_the_person_attached_is_still_the_person_s(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start()
                rig.sim.attach(backend="sys-usb", port="2-1", target="work")
                first = self.forwarder(rig)
                self.assert_told(first, first.add("usb", "2-1", **USB), 201)
                self.stop(rig, how)
                self.start_again(rig)
                again = self.picture(rig, devices=ONLY_USB)
                self.assert_told(again, 1, 201)
                self.assert_told(again, again.remove("usb", "2-1"), 203)
                self.assertEqual(rig.count("Detach"), 0)

    def test_a_detach_by_the_person_is_remembered(self):
        for how in WAYS:
            with self.subTest(how=how):
                for rules, devclass, device, words in ((KEY, *BOTH[0]), (DISK, *BOTH[1])):
                    rig = self.start(rules)
                    first = self.forwarder(rig)
                    self.assert_told(first, first.add(devclass, device, **words), 200)
                    rig.daemon.wait_no_jobs()
                    rig.sim.detach(backend="sys-usb", port=device)
                    rig.daemon.wait_outcome(device, 308)
                    self.stop(rig, how)
                    self.start_again(rig)
                    again = self.picture(rig, devices=((devclass, device, words),))
                    self.assert_told(again, 1, 300)
                    self.assert_last(rig, device, 308)
                    self.assertEqual(rig.count("Attach"), 0)

    def test_a_detach_while_it_was_down_is_noticed(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start()
                self.attach_usb(rig)
                self.stop(rig, how)
                rig.sim.detach(backend="sys-usb", port="2-1")
                self.start_again(rig)
                again = self.picture(rig, devices=ONLY_USB)
                self.assert_told(again, 1, 300)
                self.assert_last(rig, "2-1", 308)
                self.assertEqual(rig.count("Attach"), 0)

    def test_a_detach_while_it_was_down_holds_for_the_disks_below_too(self):
        rig = self.start(ANY)
        self.attach_usb(rig)
        rig.daemon.kill()
        rig.sim.detach(backend="sys-usb", port="2-1")
        self.start_again(rig)
        again = self.picture(rig, devices=BOTH)
        for seq in (1, 2):
            self.assert_told(again, seq, 300)
        self.assertEqual(rig.count("Attach"), 0)

    def test_a_no_is_not_asked_again(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start("key: ask usb id 0781:5581 to work\n",
                                 world(agent={"script": ["deny"]}))
                first = self.forwarder(rig)
                self.assert_told(first, first.add("usb", "2-1", **USB), 300)
                self.assert_last(rig, "2-1", 304)
                self.stop(rig, how)
                self.start_again(rig)
                again = self.picture(rig, devices=ONLY_USB)
                self.assert_told(again, 1, 300)
                self.assert_last(rig, "2-1", 304)
                self.assertEqual(self.prompts(rig), 1)

    def test_a_yes_that_is_attached_is_not_asked_again(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start("key: ask usb id 0781:5581 to work\n",
                                 world(agent={"script": ["allow"]}))
                self.attach_usb(rig)
                self.stop(rig, how)
                self.start_again(rig)
                again = self.picture(rig, devices=ONLY_USB)
                self.assert_told(again, 1, 201)
                self.assertEqual(self.prompts(rig), 1)

    def test_a_replug_while_it_was_down_ends_a_no(self):
        # another device at the port: what was said is not about it
        rig = self.start("key: ask usb id 0781:5581 to work\n",
                         world(agent={"script": ["deny", "allow"]}))
        first = self.forwarder(rig)
        self.assert_told(first, first.add("usb", "2-1", **USB), 300)
        rig.daemon.kill()
        rig.sim.unplug(backend="sys-usb", port="2-1")
        rig.sim.plug(devices=stick(serial="4C530009"))
        self.start_again(rig)
        again = self.picture(rig, devices=(
            ("usb", "2-1", {**USB, "serial": "4C530009"}),))
        self.assert_told(again, 1, 200)
        self.assertEqual(self.prompts(rig), 2)

    def test_a_new_boot_of_the_source_meanwhile_forgets_every_plug(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start()
                self.attach_usb(rig)
                rig.sim.detach(backend="sys-usb", port="2-1")
                rig.daemon.wait_outcome("2-1", 308)
                self.stop(rig, how)
                rig.sim.qube_stop(name="sys-usb")
                rig.sim.qube_start(name="sys-usb")
                self.start_again(rig)
                again = self.picture(rig, devices=ONLY_USB, boot_id=OTHER_BOOT)
                self.assert_told(again, 1, 200)

    def test_a_target_that_stopped_meanwhile_gets_it_back_when_it_starts(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start()
                self.attach_usb(rig)
                self.stop(rig, how)
                rig.sim.qube_stop(name="work")
                self.start_again(rig)
                again = self.picture(rig, devices=ONLY_USB)
                again.answer(1)
                rig.daemon.wait_no_jobs()
                self.assertNotIn(308, self.codes(rig, "2-1"))
                if rig.sim.state()["qubes"]["work"]["state"] == "Halted":
                    rig.sim.qube_start(name="work")
                rig.sim.wait_attached(backend="sys-usb", port="2-1", target="work")

    def test_a_pause_goes_on(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start()
                rig.daemon.call("Pause")
                # the next answer comes after what this one changed was kept
                self.barrier(self.by_hand(rig))
                self.stop(rig, how)
                self.start_again(rig)
                again = self.picture(rig, devices=ONLY_USB)
                self.assert_told(again, 1, 300)
                self.assert_last(rig, "2-1", 309)
                self.assertEqual(rig.count("Attach"), 0)
                rig.daemon.call("Resume")
                rig.daemon.wait_outcome("2-1", 200)

    def test_what_was_answered_is_kept_whatever_comes_next(self):
        # kill -9 comes as soon as the answer has
        for _ in range(5):
            rig = self.start()
            rig.daemon.call("Pause")
            rig.daemon.kill()
            rig.daemon.start()
            again = self.picture(rig, devices=ONLY_USB)
            self.assert_told(again, 1, 300)
            self.assert_last(rig, "2-1", 309)

    def test_a_no_that_was_told_is_kept_whatever_comes_next(self):
        # on one CPU, with the daemon behind: killed as soon as it has told
        cpus = os.sched_getaffinity(0)
        self.addCleanup(os.sched_setaffinity, 0, cpus)
        os.sched_setaffinity(0, {min(cpus)})
        for _ in range(5):
            rig = self.start("key: ask usb id 0781:5581 to work\n",
                             world(agent={"script": ["deny", "allow"]}))
            os.setpriority(os.PRIO_PROCESS, rig.daemon.process.pid, 19)
            first = self.forwarder(rig)
            self.assert_told(first, first.add("usb", "2-1", **USB), 300)
            rig.daemon.kill()
            self.start_again(rig)
            again = self.picture(rig, devices=ONLY_USB)
            self.assert_told(again, 1, 300)
            self.assertEqual(self.prompts(rig), 1)
            self.assert_last(rig, "2-1", 304)

    def test_a_pause_that_was_over_meanwhile_is_over(self):
        rig = self.start()
        rig.daemon.call("Pause", duration_usec=1)
        rig.daemon.kill()
        self.start_again(rig)
        again = self.picture(rig, devices=ONLY_USB)
        self.assert_told(again, 1, 200)

    def test_without_anything_plugged_in_nothing_is_asked_of_qubesd(self):
        rig = self.start()
        rig.daemon.restart()
        rig.settle()
        self.assertEqual(rig.count("Available"), 0)

    def test_many_restarts_leave_a_small_folder(self):
        rig = self.start()
        self.attach_usb(rig)
        size = 0
        for n in range(20):
            self.stop(rig, ("kill -9", "SIGTERM")[n % 2])
            rig.daemon.start()
            again = self.picture(rig, devices=ONLY_USB)
            self.assert_told(again, 1, 201)
            files = [path for path in rig.daemon.state_dir.rglob("*") if path.is_file()]
            size = max(size, sum(path.stat().st_size for path in files))
            self.assertLessEqual(len(files), 4, files)
        self.assertLess(size, 65536)


class InTheMiddle(RestartCase):
    """kill -9 at each point of a job; the forwarder tells of all again."""

    def kill_in(self, method: str, phase: str = "begin", rules: str = KEY,
                target: str = "Running", **more) -> harness.Rig:
        """Kill while the call stands; afterwards the device is attached once."""
        rig = self.start(rules, world(target, **more))
        connection = self.forwarder(rig)
        with rig.sim.held(method=method, phase=phase) as hold:
            connection.add("usb", "2-1", **USB)
            rig.sim.wait_held(id=hold)
            rig.daemon.kill()
            rig.daemon.start()
        again = self.picture(rig, devices=ONLY_USB)
        self.assertIn(again.answer(1)["code"], (200, 201))
        rig.daemon.wait_no_jobs()
        self.assertIsNotNone(rig.sim.device("2-1")["attachment"])
        self.assertEqual(rig.sim.most_at_once(USB_ATTACH, dest="work"), 1)
        self.assert_told(again, again.remove("usb", "2-1"), 203)
        return rig

    def test_while_checking(self):
        self.kill_in("*.usb.Available")

    def test_while_the_target_starts(self):
        for phase in ("begin", "work", "answer"):
            with self.subTest(phase=phase):
                rig = self.kill_in(START, phase, target="Halted")
                self.assertEqual(rig.sim.state()["qubes"]["work"]["state"], "Running")

    def test_after_the_attach_before_its_answer(self):
        # it was ours though nobody told us so: it goes with its plug
        rig = self.kill_in(USB_ATTACH, "answer")
        self.assertEqual(len(rig.sim.calls(method=USB_DETACH)), 1)

    def test_while_detaching(self):
        for phase in ("begin", "work", "answer"):
            with self.subTest(phase=phase):
                rig = self.start()
                connection = self.attach_usb(rig)
                with rig.sim.held(method=USB_DETACH, phase=phase) as hold:
                    connection.remove("usb", "2-1")
                    rig.sim.wait_held(id=hold)
                    rig.daemon.kill()
                    rig.daemon.start()
                self.picture(rig)
                rig.sim.wait_detached(backend="sys-usb", port="2-1")

    def test_while_the_prompt_is_open_no_second_one_is_shown(self):
        # nobody reads its answer any more; it stays on the screen nevertheless
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start("key: ask usb id 0781:5581 to work\n")
                first = self.forwarder(rig)
                first.add("usb", "2-1", **USB)
                rig.sim.wait_window()
                self.stop(rig, how)
                self.start_again(rig)
                self.picture(rig, devices=ONLY_USB)
                rig.daemon.wait_job("awaiting-prompt", "2-1")
                rig.sim.click(answer="allow")
                self.barrier(self.by_hand(rig))
                self.assertEqual(rig.sim.state()["max_open_windows"], 1)
                self.assert_attached(rig, "2-1", None)

    def test_no_disposable_is_left_behind(self):
        for method, phase in ((CREATE, "answer"), (START, "begin"), (START, "answer")):
            with self.subTest(method=method, phase=phase):
                rig = self.start("key: allow usb id 0781:5581 to @dispvm:media-dvm\n",
                                 world(qubes=TEMPLATE))
                connection = self.forwarder(rig)
                with rig.sim.held(method=method, phase=phase) as hold:
                    connection.add("usb", "2-1", **USB)
                    rig.sim.wait_held(id=hold)
                    rig.daemon.kill()
                rig.daemon.start()
                again = self.picture(rig, devices=ONLY_USB)
                self.assertIn(again.answer(1)["code"], (200, 201))
                rig.daemon.wait_no_jobs()
                disposables = [name for name, qube in rig.sim.state()["qubes"].items()
                               if qube["class"] == "DispVM"]
                # a Create whose answer nobody read is nobody's: qubesd alone
                # knows of it
                self.assertEqual(len(disposables), 2 if method == CREATE else 1)
                self.assertIn(rig.sim.device("2-1")["attachment"], disposables)

    def test_a_disposable_that_gets_the_device_after_all_is_ours(self):
        # the Attach of the daemon that died goes on in qubesd
        for phase in ("begin", "answer"):
            with self.subTest(phase=phase):
                rig = self.start("key: allow usb id 0781:5581 to @dispvm:media-dvm\n",
                                 world(qubes=TEMPLATE))
                connection = self.forwarder(rig)
                with rig.sim.held(method=USB_ATTACH, phase=phase) as hold:
                    connection.add("usb", "2-1", **USB)
                    rig.sim.wait_held(id=hold)
                    rig.daemon.kill()
                target = rig.sim.wait_attached(backend="sys-usb", port="2-1")["target"]
                rig.daemon.start()
                again = self.picture(rig, devices=ONLY_USB)
                self.assert_told(again, 1, 201)
                self.assert_told(again, again.remove("usb", "2-1"), 203)
                self.assertEqual(rig.calls(method=USB_DETACH)[0]["dest"], target)

    def test_a_disposable_with_close_is_shut_down_with_its_device(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start(
                    "key: allow usb id 0781:5581 to @dispvm:media-dvm close\n",
                    world(qubes=TEMPLATE))
                first = self.forwarder(rig)
                self.assert_told(first, first.add("usb", "2-1", **USB), 200)
                target = rig.sim.device("2-1")["attachment"]
                rig.daemon.wait_no_jobs()
                self.stop(rig, how)
                self.start_again(rig)
                again = self.picture(rig, devices=ONLY_USB)
                self.assert_told(again, 1, 201)
                rig.sim.unplug(backend="sys-usb", port="2-1")
                self.assert_told(again, again.remove("usb", "2-1"), 203)
                rig.sim.wait_qube(name=target)

    def test_a_disposable_with_close_whose_device_went_meanwhile(self):
        for how in WAYS:
            with self.subTest(how=how):
                rig = self.start(
                    "key: allow usb id 0781:5581 to @dispvm:media-dvm close\n",
                    world(qubes=TEMPLATE))
                first = self.forwarder(rig)
                self.assert_told(first, first.add("usb", "2-1", **USB), 200)
                target = rig.sim.device("2-1")["attachment"]
                rig.daemon.wait_no_jobs()
                self.stop(rig, how)
                rig.sim.unplug(backend="sys-usb", port="2-1")
                self.start_again(rig)
                self.picture(rig)
                rig.sim.wait_qube(name=target)


class BadState(RestartCase):
    """An unreadable or foreign file is set aside and told, never fatal."""

    def spoil(self, change) -> None:
        """Something is attached, the file is spoilt, and all goes on."""
        rig = self.start()
        self.attach_usb(rig)
        rig.daemon.stop()
        files = [path for path in rig.daemon.state_dir.rglob("*") if path.is_file()]
        self.assertTrue(files, "nothing was kept")
        for path in files:
            change(path)
        self.start_again(rig)
        self.assertRegex(rig.daemon.process.stderr(), "(?i)state|aside")
        again = self.picture(rig, devices=ONLY_USB)
        self.assert_told(again, 1, 201)
        self.assertEqual(rig.count("Attach"), 0)
        # and what happens from now on is kept
        rig.sim.detach(backend="sys-usb", port="2-1")
        rig.daemon.restart()
        rig.settle()
        self.assertTrue(rig.daemon.process.is_alive())

    def test_garbage(self):
        self.spoil(lambda path: path.write_bytes(b"\0\xff" * 4096))

    def test_an_empty_file(self):
        self.spoil(lambda path: path.write_bytes(b""))

    def test_half_a_file(self):
        # what comes behind the last whole text only does not count
        def change(path: pathlib.Path) -> None:
            text = path.read_bytes().partition(b"\0")[0]
            path.write_bytes(text[:len(text) // 2])
        self.spoil(change)

    def test_another_json(self):
        self.spoil(lambda path: path.write_text('{"version": 999, "a": [1]}\n'))

    def test_nesting_without_end(self):
        self.spoil(lambda path: path.write_text("[" * 100000))

    def test_a_huge_file(self):
        self.spoil(lambda path: path.write_bytes(b"{" + b" " * (64 << 20)))

    def test_a_folder_in_its_place(self):
        def change(path: pathlib.Path) -> None:
            path.unlink()
            path.mkdir()
        self.spoil(change)

    def test_a_fifo_in_its_place(self):
        def change(path: pathlib.Path) -> None:
            path.unlink()
            os.mkfifo(path)
        self.spoil(change)

    def test_a_link_to_somewhere_else(self):
        def change(path: pathlib.Path) -> None:
            path.unlink()
            path.symlink_to("/dev/zero")
        self.spoil(change)

    def test_a_folder_that_is_not_there(self):
        sim = self.enterContext(harness.Sim(world()))
        daemon = self.enterContext(harness.Daemon(sim, KEY))
        daemon.stop()
        for path in daemon.state_dir.iterdir():
            path.unlink()
        daemon.state_dir.rmdir()
        daemon.start()
        connection = self.enterContext(daemon.forwarder())
        self.assert_told(connection, connection.add("usb", "2-1", **USB), 200)


if __name__ == "__main__":
    unittest.main()
