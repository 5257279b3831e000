# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy daemon (WIRE 3) and the policy agent (WIRE 4)."""

from sim.client import Sim, Stream

from .support import SimTestCase

class PolicyDaemon(SimTestCase):
    """WIRE 3."""

    def ask(self, sim, *switches, target="work", source="dom0"):
        """A question about autoattach.Attach+backup."""
        stream = Stream(sim.policy_socket, "policy")
        self.addCleanup(stream.close)
        lines = [f"source={source}", f"intended_target={target}",
                 "service_and_arg=autoattach.Attach+backup", *switches, "", ""]
        stream.send("\n".join(lines).encode())
        return stream.read_all()

    def test_the_table_of_answers(self):
        sim = self.start()
        both = ("just_evaluate=yes", "assume_yes_for_ask=yes")
        for verdict, evaluated, assumed in (
                ("allow", b"result=allow", b"result=allow"),
                ("ask", b"result=deny", b"result=allow"),
                ("deny", b"result=deny", b"result=deny"),
                ("empty", b"", b"")):
            with self.subTest(verdict=verdict):
                sim.policy(rules=[{"argument": "backup", "verdict": verdict}])
                self.assertEqual(self.ask(sim, both[0]), evaluated)
                self.assertEqual(self.ask(sim, *both), assumed)

    def test_a_plain_allow(self):
        sim = self.start()
        self.assertRegex(self.ask(sim).decode(), (
            r"^user=DEFAULT\nresult=allow\ntarget=work\ntarget_uuid=\S+\n"
            r"autostart=True\nrequested_target=work$"))

    def test_unknown_target_source_and_bad_question(self):
        sim = self.start()
        self.assertEqual(self.ask(sim, target="nosuch"), b"result=deny")
        self.assertEqual(self.ask(sim, source="nosuch"), b"")
        self.assertEqual(self.ask(sim, "foo=bar"), b"")
        self.assertEqual(self.ask(sim, "just_evaluate=maybe"), b"")

    def test_rules_name_source_target_and_argument(self):
        sim = self.start(policy={"default": "deny", "rules": [
            {"target": "vault", "verdict": "deny"},
            {"source": "dom0", "argument": "back*", "verdict": "allow"}]})
        self.assertEqual(self.ask(sim, "just_evaluate=yes"), b"result=allow")
        self.assertEqual(self.ask(sim, target="vault"), b"result=deny")
        self.assertEqual(self.ask(sim, source="work"), b"result=deny")
        call = sim.calls(service="policy")[0]
        self.assertEqual((call["src"], call["dest"], call["arg"]),
                         ("dom0", "work", "backup"))

    def test_death(self):
        sim = self.start(policy={"default": "death"})
        self.ask(sim)
        with self.assertRaises(FileNotFoundError):
            self.ask(sim)
        sim.restart(service="policy")
        sim.policy(default="garbage")
        self.assertNotIn(b"allow", self.ask(sim, "just_evaluate=yes"))


class PolicyAgent(SimTestCase):
    """WIRE 4."""

    PROMPT = (b'policy.Ask dom0 name dom0\0{"source": "sys-usb", "service": '
              b'"autoattach.Attach", "argument": "+backup", "targets": ["work", '
              b'"vault"], "default_target": "work", "icons": {"sys-usb": '
              b'"appvm-red", "work": "appvm-blue"}}')

    def prompt(self, sim: Sim, request: bytes = PROMPT) -> Stream:
        """A prompt whose answer is still to be read."""
        stream = Stream(sim.agent_socket, "prompt")
        self.addCleanup(stream.close)
        stream.send(request)
        stream.shut()
        return stream

    def test_a_window_stays_until_it_is_clicked(self):
        sim = self.start()
        stream = self.prompt(sim)
        window, = sim.wait_window()
        self.assertEqual(window["offered"], ["work"])
        stream.close()
        sim.wait_call(method="policy.Ask", abandoned=True)
        self.assertEqual(sim.state()["open_windows"], 1)
        sim.click(answer="allow")
        self.assertEqual(sim.state()["open_windows"], 0)

    def test_answers(self):
        sim = self.start()
        for step, answer in (("allow", b"allow:work"), ("allow:vault", b"allow:vault"),
                             ("deny", b"deny"), ("empty", b""),
                             ({"data": "Allow"}, b"Allow"),
                             ({"delay": 0.01, "answer": "deny"}, b"deny")):
            sim.agent_script(script=[step])
            self.assertEqual(self.prompt(sim).read_all(), answer)
        self.assertEqual(sim.state()["max_open_windows"], 1)

    def test_without_the_sources_icon_there_is_no_window(self):
        sim = self.start()
        self.assertEqual(
            self.prompt(sim, self.PROMPT.replace(b'"sys-usb": ', b'"x": '))
            .read_all(), b"")
        self.assertEqual(sim.state()["windows"], [])

    def test_a_notification(self):
        sim = self.start()
        request = (b'policy.Notify dom0 name dom0\0{"resolution": "allow", "service": '
                   b'"s", "argument": "+a", "source": "sys-usb", "target": "work"}')
        self.assertEqual(self.prompt(sim, request).read_all(), b"")
        call, = sim.calls(method="policy.Notify", dest="work")
        self.assertEqual(bytes.fromhex(call["request"]), request)

    def test_nobody_logged_in_then_somebody(self):
        sim = self.start(agent={"present": False, "script": ["die"]})
        with self.assertRaises(FileNotFoundError):
            self.prompt(sim)
        sim.agent_up(listen=False)
        with self.assertRaises(ConnectionRefusedError):
            self.prompt(sim)
        sim.agent_up()
        self.assertEqual(self.prompt(sim).read_all(), b"allow:")
        with self.assertRaises(FileNotFoundError):
            self.prompt(sim)
