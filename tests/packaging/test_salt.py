# SPDX-License-Identifier: GPL-2.0-or-later
"""Salt states, rendered as Salt would, as far as it goes without Salt."""

import itertools
import json
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

import jinja2
import yaml

import products
from root import Root, run

SALT = products.TREE / "packaging/salt"
# state functions that change nothing when nothing is to be changed
IDEMPOTENT = {"pkg.installed", "service.running", "qvm.service", "file.managed",
              "file.absent", "test.nop"}
# what qvm-prefs answers where the USB qube is an AppVM, and a disposable
PLAIN = {"qvm-prefs -- sys-usb template": "debian-13",
         "qvm-prefs -- debian-13 klass": "TemplateVM"}
DISPOSABLE = {"qvm-prefs -- sys-usb template": "default-dvm",
              "qvm-prefs -- default-dvm klass": "AppVM",
              "qvm-prefs -- default-dvm template": "fedora-43"}
RULE = 'a-b: allow block id 0781:* serial "x\\\\y: #" from sys-usb to work'


class Minion:
    def __init__(self, name="dom0", pillar=None, commands=None):
        self.grains = {"id": name}
        self.pillar = pillar or {}
        self.commands = commands or {}

    def pillar_get(self, path, default=""):
        value = self.pillar
        for key in path.split(":"):
            if not isinstance(value, dict) or key not in value:
                return default
            value = value[key]
        return value

    def render(self, name):
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
        # Salt's own filter
        environment.filters["yaml_dquote"] = \
            lambda text: json.dumps(text, ensure_ascii=False)
        text = environment.from_string((SALT / name).read_text()).render(
            grains=self.grains, pillar=self.pillar,
            salt={"pillar.get": self.pillar_get,
                  "cmd.run_stdout": self.commands.__getitem__})
        return yaml.load(text, Loader=NoDoubles)


class NoDoubles(yaml.SafeLoader):
    """YAML in which a key given twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise AssertionError(f"a key is given twice: {keys}")
        return super().construct_mapping(node, deep)


def arguments(states, name, function):
    merged = {}
    for argument in states[name][function]:
        merged.update(argument)
    return merged


class SaltTest(unittest.TestCase):
    def check(self, states):
        """Each state is one known function, and what it requires is there."""
        for name, state in states.items():
            (function, given), = state.items()
            self.assertIn(function, IDEMPOTENT, name)
            for argument in given:
                self.assertEqual(len(argument), 1, argument)
                for wanted in argument.get("require", []):
                    (module, required), = wanted.items()
                    self.assertTrue(any(one.startswith(f"{module}.")
                                        for one in states[required]), wanted)

    def test_all_pillars_render(self):
        for usb, rules in itertools.product(("sys-usb", "sys-usb-2", None),
                                            ([RULE], [], None)):
            pillar = {}
            if usb:
                pillar["usb-qube"] = usb
            if rules is not None:
                pillar["rules"] = rules
            with self.subTest(pillar=pillar):
                states = Minion(pillar={"qubes-autoattach": pillar}) \
                    .render("states/dom0.sls")
                self.check(states)
                service = arguments(states, "qubes-autoattach-service",
                                    "qvm.service")
                self.assertEqual(service, {"name": usb or "sys-usb",
                                           "enable": ["autoattach"]})

    def test_a_rule_of_pillar_gets_there_as_it_is(self):
        states = Minion(pillar={"qubes-autoattach": {"rules": [RULE]}}) \
            .render("states/dom0.sls")
        rules = arguments(states, "/etc/qubes/autoattach.d/20-salt.rules",
                          "file.managed")
        self.assertEqual(rules["contents"][1:], [RULE])
        self.assertEqual((rules["user"], rules["mode"]), ("root", "0644"))

    def test_rules_with_an_error_are_not_written(self):
        root = Root()
        self.addCleanup(root.remove)
        root.run("rpm", "-i", "--nodeps", "--noscripts",
                 root.bring(products.packages().dom0))
        states = Minion(pillar={"qubes-autoattach": {"rules": [RULE]}}) \
            .render("states/dom0.sls")
        check = arguments(states, "/etc/qubes/autoattach.d/20-salt.rules",
                          "file.managed")["check_cmd"]
        folder = "etc/qubes/autoattach.d"
        # what is to be replaced does not count, what a person wrote does
        root.write(f"{folder}/20-salt.rules", f"{RULE}\n")
        for user, text, status in (("", RULE, 0), ("", "nonsense", 1),
                                   ("c: deny usb\n", RULE, 0),
                                   ("a-b: deny usb\n", RULE, 1)):
            root.write(f"{folder}/30-user.rules", user)
            root.write("tmp/as-salt-names-it", f"{text}\n")
            root.run("sh", "-c", f"{check} /tmp/as-salt-names-it", status=status)
        # no other file
        root.run("sh", "-c", f"rm /{folder}/*.rules; {check} /tmp/as-salt-names-it")

    def test_no_example_takes_a_name_of_the_readme_s(self):
        pillar = (SALT / "pillar/init.sls").read_text()
        name, = re.findall(r"  #   - '([\w-]+):", pillar)
        self.assertNotRegex((products.TREE / "README.md").read_text(),
                            rf"\b{name}: ")

    def test_another_usb_qube_may_report(self):
        name = "/etc/qubes/policy.d/30-qubes-autoattach-salt.policy"
        for usb, function in (("sys-usb", "file.absent"),
                              ("usb2", "file.managed")):
            states = Minion(pillar={"qubes-autoattach": {"usb-qube": usb}}) \
                .render("states/dom0.sls")
            self.assertIn(function, states[name])
        policy = arguments(states, name, "file.managed")
        self.assertEqual(policy["contents"][1],
                         "autoattach.Event * usb2 @adminvm allow")
        self.assertEqual((policy["group"], policy["mode"]), ("qubes", "0664"))

    def test_no_policy_is_written_for_what_is_no_qube(self):
        """A line with an error denies every qrexec call of the system."""
        pillar = {"qubes-autoattach": {"usb-qube": "sys-usb sys-usb2"}}
        states = Minion(pillar=pillar).render("states/dom0.sls")
        policy = arguments(
            states, "/etc/qubes/policy.d/30-qubes-autoattach-salt.policy",
            "file.managed")
        # this one fails where there is no such qube
        self.assertIn({"qvm": "qubes-autoattach-service"}, policy["require"])

    def test_only_the_template_of_the_usb_qube_gets_the_package(self):
        pillar = {"qubes-autoattach": {"template": "debian-13", "package": ""}}
        for name, function in (("debian-13", "pkg.installed"),
                               ("fedora-43", "test.nop")):
            states = Minion(name, pillar).render("states/template.sls")
            self.check(states)
            self.assertEqual([function], [one for state in states.values()
                                          for one in state])

    def test_a_package_of_ones_own_goes_into_the_template(self):
        pillar = {"qubes-autoattach": {"template": "t", "package": "x_1.deb"}}
        states = Minion("t", pillar).render("states/template.sls")
        self.assertEqual(
            arguments(states, "qubes-autoattach-vm", "pkg.installed")["sources"],
            [{"qubes-autoattach-vm": "salt://qubes-autoattach/files/x_1.deb"}])

    def pillar_of(self, qube, commands):
        pillar = Minion(qube, commands=commands).render("pillar/init.sls")
        return (pillar or {}).get("qubes-autoattach", {})

    def test_the_pillar_finds_the_template(self):
        for commands, template in ((PLAIN, "debian-13"),
                                   (DISPOSABLE, "fedora-43")):
            self.assertEqual(self.pillar_of(template, commands),
                             {"template": template, "package": ""})

    def test_no_qube_learns_rules(self):
        """A qube's pillar gets into the qube that manages it, and is used by
        salt-ssh in it."""
        self.assertEqual(self.pillar_of("dom0", PLAIN),
                         {"usb-qube": "sys-usb", "rules": []})
        for qube in ("debian-13", "fedora-43", "sys-usb", "work"):
            self.assertNotIn("rules", self.pillar_of(qube, PLAIN), qube)

    def test_a_qube_that_gets_nothing_learns_nothing(self):
        for qube in ("fedora-43", "sys-usb", "work"):
            self.assertEqual(self.pillar_of(qube, PLAIN), {}, qube)

    def test_the_example_in_the_pillar_is_a_good_rule(self):
        line, = [line for line in (SALT / "pillar/init.sls").read_text()
                 .splitlines() if line.startswith("  #   - '")]
        rule, = yaml.safe_load(line.lstrip(" #"))
        with tempfile.NamedTemporaryFile("w", suffix=".rules") as file:
            file.write(f"{rule}\n")
            file.flush()
            root = Root()
            self.addCleanup(root.remove)
            root.run("rpm", "-i", "--nodeps", "--noscripts",
                     root.bring(products.packages().dom0))
            root.run("qvm-autoattach", "check",
                     root.bring(pathlib.Path(file.name)))

    def test_tops_name_states_that_are_there(self):
        top = Minion().render("states/init.top")
        for target, entries in top["base"].items():
            for entry in entries:
                if isinstance(entry, str):
                    self.assertTrue((SALT / "states" / entry.replace(
                        "qubes-autoattach.", "")).with_suffix(".sls").exists())
        self.assertEqual(list(top["base"]), ["dom0", "qubes:type:template"])
        self.assertEqual(Minion().render("pillar/init.top"),
                         {"base": {"*": ["qubes-autoattach"]}})
