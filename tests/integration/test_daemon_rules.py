# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules folder under a running daemon: reload, errors, odd files."""

import os
import shutil
import unittest

from daemoncase import AVAILABLE, LOOK, STICK, TO_WORK, DaemonCase

DENY = "no: deny any\n"
BROKEN = "one: allow block to work\ntwo: allw block to work\nthree: allow\n"


class RulesCase(DaemonCase):
    """Rules are judged by what a record comes to."""

    def setUp(self):
        self.rig = self.start()
        self.daemon = self.rig.daemon
        self.connection = self.forwarder(self.rig)

    def rules(self) -> dict:
        """What status says of the rules."""
        return self.daemon.status()["rules"]

    def wait_rules(self, fits, what: str) -> dict:
        """Until status says so of the rules."""
        return self.daemon.wait_status(
            lambda status: fits(status["rules"]), what)["rules"]

    def assert_decided(self, code: int) -> None:
        """A record comes to this, by the rules in force."""
        told = code if code < 300 else 300
        self.assert_told(self.connection, self.connection.add(
            "block", "sda", **STICK), told)
        self.assert_last(self.rig, "sda", code)

    def assert_failed(self, *messages: str) -> dict:
        """The newest files have these errors, the old rules stay."""
        rules = self.rules()
        self.assertTrue(rules["failed"], rules)
        self.assertEqual(rules["n_rules"], 1)
        self.assertEqual(rules["n_errors"], len(messages), rules["errors"])
        for error, message in zip(rules["errors"], messages):
            self.assertTrue(error["message"])
            self.assertRegex(error["message"], message or ".")
            self.assertEqual(error["level"], "error")
        self.assert_decided(200)
        self.assert_told(self.connection, self.connection.remove(
            "block", "sda"), 203)
        return rules


class Reload(RulesCase):
    """By inotify and on SIGHUP."""

    def test_a_file_moved_into_the_folder_is_seen(self):
        self.daemon.rules(DENY, "10-first.rules")
        self.wait_rules(lambda rules: rules["n_rules"] == 2, "two rules")
        self.assert_decided(302)

    def test_a_file_written_in_place_is_seen(self):
        with (self.daemon.rules_dir / "50-test.rules").open("w") as file:
            file.write(DENY * 0 + "a: deny any\nb: deny any\n")
        self.wait_rules(lambda rules: rules["n_rules"] == 2, "two rules")
        self.assert_decided(302)

    def test_a_file_deleted_is_seen(self):
        (self.daemon.rules_dir / "50-test.rules").unlink()
        self.wait_rules(lambda rules: rules["n_rules"] == 0, "no rules")
        self.assert_decided(301)

    def test_a_file_renamed_away_is_seen(self):
        path = self.daemon.rules_dir / "50-test.rules"
        path.rename(path.with_suffix(".off"))
        self.wait_rules(lambda rules: rules["n_rules"] == 0, "no rules")
        self.assert_decided(301)

    def test_a_mode_put_right_is_seen(self):
        path = self.daemon.rules_dir / "50-test.rules"
        path.chmod(0o666)
        self.wait_rules(lambda rules: rules["failed"], "a failure")
        path.chmod(0o644)
        self.wait_rules(lambda rules: not rules["failed"], "no failure")
        self.assert_decided(200)

    def test_sighup_reads_them_anew(self):
        loaded = self.rules()["loaded_usec"]
        self.daemon.reload()
        self.assertGreater(self.rules()["loaded_usec"], loaded)
        self.daemon.rules(DENY)
        self.daemon.reload()
        self.assert_decided(302)

    def test_files_are_read_in_the_order_of_their_names(self):
        self.daemon.rules(DENY, "60-later.rules")
        self.daemon.reload()
        self.assert_decided(200)
        self.daemon.rules("also: deny any\n", "40-earlier.rules")
        self.daemon.reload()
        self.assert_decided(302)

    def test_other_names_are_passed_over(self):
        for name in ("README", "50-test.rules~", ".hidden.rules", "x.rules.rpmnew",
                     "50-test.rules.swp"):
            self.daemon.rules("also: deny any\n", name)
        self.daemon.reload()
        self.assertEqual(self.rules()["n_files"], 1)
        self.assert_decided(200)

    def test_a_reload_that_keeps_its_rule_does_not_disturb_a_job(self):
        with self.rig.sim.held(method=AVAILABLE) as hold:
            seq = self.connection.add("block", "sda", **STICK)
            self.rig.sim.wait_held(id=hold)
            for n in range(20):
                self.daemon.rules(f"{TO_WORK}r{n}: deny any\n")
                self.daemon.reload()
        self.assert_told(self.connection, seq, 200)
        self.assertEqual(self.assert_last(self.rig, "sda", 200)["rule"], "stick")

    def test_what_new_rules_do_not_let_is_not_attached_by_a_job_in_work(self):
        with self.rig.sim.held(method=AVAILABLE) as hold:
            seq = self.connection.add("block", "sda", **STICK)
            self.rig.sim.wait_held(id=hold)
            self.daemon.rules(DENY)
            self.daemon.reload()
        self.assert_told(self.connection, seq, 300)
        self.rig.daemon.wait_no_jobs()
        self.assert_last(self.rig, "sda", 302)
        self.assertEqual(self.rig.count("Attach"), 0)

    def test_a_reload_detaches_nothing(self):
        self.attach_stick(self.rig, self.connection)
        self.daemon.rules(DENY)
        self.daemon.reload()
        self.barrier(self.connection)
        self.assertEqual(self.rig.requests(), [])
        self.rig.sim.wait_attached(backend="sys-usb", port="sda", target="work")

    def test_a_reload_watches_what_the_path_leads_to_by_then(self):
        old = self.daemon.rules_dir.rename(self.daemon.dir / "old")
        self.daemon.rules_dir.symlink_to(old)
        self.daemon.rules(DENY, "10-first.rules")
        self.wait_rules(lambda rules: rules["n_rules"] == 2, "both rules")
        new = self.daemon.dir / "new"
        new.mkdir(mode=0o755)
        (self.daemon.dir / "link").symlink_to(new)
        (self.daemon.dir / "link").rename(self.daemon.rules_dir)
        self.daemon.reload()
        self.daemon.rules(DENY)
        self.wait_rules(lambda rules: rules["n_rules"] == 1, "the rule that denies")
        self.assert_decided(302)
        self.daemon.rules_dir.unlink()
        shutil.copytree(old, self.daemon.rules_dir)

    @unittest.skipIf(os.geteuid() == 0, "root may read all")
    def test_a_folder_that_may_not_be_read_is_watched_once_it_may(self):
        shutil.rmtree(self.daemon.rules_dir)
        self.wait_rules(lambda rules: rules["missing"], "missing")
        self.daemon.rules_dir.mkdir(mode=0)
        self.wait_rules(lambda rules: rules["failed"], "a failure")
        self.daemon.rules_dir.chmod(0o755)
        self.wait_rules(lambda rules: not rules["failed"], "no failure")
        self.daemon.rules(DENY)
        self.wait_rules(lambda rules: rules["n_rules"] == 1, "a rule")
        self.assert_decided(302)

    @unittest.skipIf(os.geteuid() == 0, "root may read all")
    def test_a_folder_that_may_not_be_read_at_the_start_is_watched(self):
        self.daemon.kill()
        self.daemon.rules_dir.chmod(0)
        self.daemon.start()
        self.wait_rules(lambda rules: rules["failed"], "a failure")
        self.daemon.rules_dir.chmod(0o755)
        self.wait_rules(lambda rules: rules["n_rules"] == 1, "the rule")

    def test_the_folder_may_go_and_come_back(self):
        shutil.rmtree(self.daemon.rules_dir)
        self.wait_rules(lambda rules: rules["missing"], "missing")
        self.assert_decided(301)
        for _ in range(2):
            self.daemon.rules_dir.mkdir(mode=0o755)
            self.wait_rules(lambda rules: not rules["missing"], "there")
            self.daemon.rules(TO_WORK)
            self.wait_rules(lambda rules: rules["n_rules"] == 1, "a rule")
            self.assert_decided(200)
            self.assert_told(self.connection, self.connection.remove(
                "block", "sda"), 203)
            shutil.rmtree(self.daemon.rules_dir)
            self.wait_rules(lambda rules: rules["missing"], "missing")

    def test_another_folder_moved_to_its_place_is_seen(self):
        other = self.daemon.dir / "other"
        other.mkdir(mode=0o755)
        (other / "x.rules").write_text(DENY)
        (other / "x.rules").chmod(0o644)
        self.daemon.rules_dir.rename(self.daemon.dir / "away")
        other.rename(self.daemon.rules_dir)
        self.wait_rules(lambda rules: not rules["missing"] and any(
            [rules["n_rules"] == 1]), "the other")
        self.daemon.rules("also: deny any\n", "y.rules")
        self.wait_rules(lambda rules: rules["n_rules"] == 2, "watched")
        self.assert_decided(302)


class Missing(DaemonCase):
    """No folder at the start."""

    def test_it_is_seen_when_it_is_made_with_its_parents(self):
        rig = self.start("")
        base = rig.daemon.dir / "a"
        rig.daemon.arguments = ["--rules-dir", base / "b" / "c"]
        rig.daemon.restart()
        rig.settle()
        self.assertTrue(rig.daemon.status()["rules"]["missing"])
        connection = self.forwarder(rig)
        self.assert_told(connection, connection.add("block", "sda", **STICK), 300)
        (base / "b" / "c").mkdir(parents=True, mode=0o755)
        rig.daemon.wait_status(lambda status: not status["rules"]["missing"],
                                "the folder")
        rig.daemon.rules_dir = base / "b" / "c"
        rig.daemon.rules(TO_WORK)
        rig.daemon.wait_status(lambda status: status["rules"]["n_rules"] == 1,
                                "a rule")
        self.assert_told(connection, connection.change("block", "sda", **STICK), 200)


class Broken(RulesCase):
    """All or nothing: with any error the old rules stay."""

    def test_all_errors_are_told_and_the_old_rules_stay(self):
        self.daemon.rules(BROKEN)
        self.daemon.reload()
        rules = self.rules()
        self.assertTrue(rules["failed"])
        self.assertEqual([error["line"] for error in rules["errors"]], [2, 3])
        self.assert_decided(200)

    def test_one_bad_file_among_good_ones(self):
        self.daemon.rules("good: deny any\n", "10-good.rules")
        self.daemon.reload()
        self.assert_decided(302)
        self.daemon.rules("x\n", "20-bad.rules")
        self.daemon.rules("better: deny block\n", "05-better.rules")
        self.daemon.reload()
        self.assertTrue(self.rules()["failed"])
        self.assert_decided(302)
        self.assertEqual(self.daemon.outcomes("sda")[-1]["rule"], "good")

    def test_once_put_right_the_new_rules_are_in_force(self):
        self.daemon.rules(BROKEN)
        self.wait_rules(lambda rules: rules["failed"], "a failure")
        self.daemon.rules(DENY)
        rules = self.wait_rules(lambda rules: not rules["failed"], "no failure")
        self.assertEqual((rules["n_errors"], rules["errors"]), (0, []))
        self.assert_decided(302)

    def test_the_journal_tells_what_is_in_force(self):
        self.daemon.rules("x: alow block to work\n", "60-bad.rules")
        (self.daemon.rules_dir / "70-dir.rules").mkdir()
        self.daemon.reload()
        self.assertIn("the rules have 2 errors, the old ones stay in force",
                      self.daemon.process.stderr())
        self.daemon.restart()
        said = self.daemon.process.stderr()
        self.assertIn("the rules have 2 errors, none are in force", said)
        self.assertIn("60-bad.rules:1:4: ", said)
        self.assertIn("70-dir.rules: ", said)

    def test_broken_at_the_start_nothing_is_attached(self):
        self.daemon.rules(BROKEN)
        self.daemon.restart()
        self.rig.settle()
        self.connection = self.forwarder(self.rig)
        self.assertTrue(self.rules()["failed"])
        self.assert_decided(301)
        self.assertEqual(self.rig.requests(), [])
        self.daemon.rules(TO_WORK)
        self.wait_rules(lambda rules: not rules["failed"], "no failure")
        self.assert_decided(200)


class OddFiles(RulesCase):
    """What is no plain file of root's is an error, and never a hang."""

    def check(self, make, message: str) -> None:
        """With this in the folder the old rules stay, and status says so."""
        make(self.daemon.rules_dir / "60-odd.rules")
        self.daemon.reload()
        self.assert_failed(message)

    def test_a_fifo(self):
        self.check(os.mkfifo, "regular")

    def test_a_directory(self):
        self.check(os.mkdir, "regular")

    def test_a_symlink_loop(self):
        self.check(lambda path: os.symlink(path, path), "(?i)symbolic|link|loop")

    def test_a_dangling_symlink(self):
        self.check(lambda path: os.symlink("/nonexistent", path), "")

    def test_a_device(self):
        self.check(lambda path: os.symlink("/dev/zero", path), "")

    def test_a_socket(self):
        def make(path):
            os.mknod(path, 0o140644)
        self.check(make, "")

    def odd_file(self, text: str, mode: int = 0o644, owner: int = -1):
        """A maker of a file that is odd from its first moment in the folder."""
        def make(path):
            new = self.daemon.dir / "new"
            new.write_text(text)
            new.chmod(mode)
            os.chown(new, owner, -1)
            new.rename(path)
        return make

    def test_a_file_that_the_group_may_write(self):
        self.check(self.odd_file(DENY, 0o664), "writ")

    def test_a_file_that_others_may_write(self):
        self.check(self.odd_file(DENY, 0o646), "writ")

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_file_of_somebody_else(self):
        self.check(self.odd_file(DENY, 0o644, 12345), "own")

    def test_a_file_over_1_mib(self):
        self.check(self.odd_file("# " + "x" * 1048576 + "\n"),
                   "(?i)mib|large|long|big")

    def test_bytes_that_are_no_text(self):
        def make(path):
            path.write_bytes(bytes(range(256)))
            path.chmod(0o644)
        make(self.daemon.rules_dir / "60-odd.rules")
        self.daemon.reload()
        self.assertTrue(self.rules()["failed"])
        self.assert_decided(200)
        self.rig.daemon.call("GetStatus")

    @unittest.skipIf(os.geteuid() == 0, "root reads everything")
    def test_an_unreadable_file(self):
        self.check(self.odd_file(DENY, 0), "")

    def test_it_is_fine_again_once_the_odd_file_is_gone(self):
        path = self.daemon.rules_dir / "60-odd.rules"
        os.mkfifo(path)
        self.daemon.reload()
        self.assert_failed("regular")
        path.unlink()
        self.wait_rules(lambda rules: not rules["failed"], "no failure")

    def test_a_folder_that_is_a_file(self):
        shutil.rmtree(self.daemon.rules_dir)
        self.wait_rules(lambda rules: rules["missing"], "missing")
        self.daemon.rules_dir.write_text(TO_WORK)
        self.daemon.reload()
        rules = self.rules()
        self.assertTrue(rules["failed"])
        self.assertRegex(rules["errors"][0]["message"], "(?i)directory")
        self.assert_decided(301)
        self.daemon.rules_dir.unlink()
        self.daemon.rules_dir.mkdir(mode=0o755)
        self.wait_rules(lambda rules: not rules["failed"], "a folder")

    def test_16384_rules_are_read_and_one_more_is_an_error(self):
        text = "".join(f"r{n}: deny block id 1234:5678\n" for n in range(16384))
        half = text.index("r8192:")
        self.daemon.rules(text[:half], "10-a.rules")
        self.daemon.rules(text[half:], "50-test.rules")
        self.daemon.reload()
        self.assertEqual(self.rules()["n_rules"], 16384, self.rules()["errors"][:1])
        self.assert_decided(301)
        self.daemon.rules("more: deny any\n", "60-more.rules")
        self.daemon.reload()
        self.assertTrue(self.rules()["failed"])
        self.assert_decided(301)
        self.assertEqual(self.rig.requests(), [])


class Matching(RulesCase):
    """Conditions as they meet a record (the language has tests of its own)."""

    def test_a_condition_decides(self):
        cases = {
            'id 0781:5581': 200, 'id 0781:5582': 301, 'id 0781:*': 200,
            'serial "4C530001"': 200, 'serial 4C53*': 200, 'serial x': 301,
            'vendor SanDisk model Ultra': 200, 'path "pci-*-usb-0:1"': 200,
            'type disk': 200, 'type partition': 301, 'removable yes': 200,
            'removable no': 301, 'min-size 10G': 200, 'max-size 10G': 301,
            'name sd[a-c]': 200, 'name sdb': 301, 'fs-type vfat': 301,
            'not fs-type vfat': 200, 'not id 0781:5581': 301,
            'serial { x 4C530001 }': 200,
        }
        for condition, code in cases.items():
            with self.subTest(condition):
                self.daemon.rules(f"r: allow block {condition} to work\n")
                self.daemon.reload()
                self.assert_decided(code)
                self.assert_told(self.connection, self.connection.remove(
                    "block", "sda"), 203)
        self.assertIn(LOOK, self.rig.requests())


if __name__ == "__main__":
    unittest.main()
