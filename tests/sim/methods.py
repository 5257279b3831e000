# SPDX-License-Identifier: GPL-2.0-or-later
"""The methods of the Admin API, as far as WIRE 1 has them."""

import asyncio
import collections.abc
import dataclasses
import re

from . import wire
from .attaching import Attaching
from .errors import (ApiError, Silent, not_started, permission_denied,
                     protocol_error)
from .faults import Fault
from .power import Power
from .world import CLASSES, Qube, World

DEVICE_METHOD = re.compile(r"admin\.vm\.device\.([a-z]+)\.([A-Za-z]+)")


@dataclasses.dataclass
class Context:
    """One call in work."""

    request: wire.Request
    dest: Qube
    fault: Fault | None


@dataclasses.dataclass(frozen=True)
class Method:
    """A handler and what it takes: True must, False must not, None may."""

    run: collections.abc.Callable
    wants_arg: bool | None = False
    wants_payload: bool | None = False


class Methods:
    """Finds a request's method, checks its form, runs it."""

    def __init__(self, world: World, power: Power, attaching: Attaching):
        self.world = world
        self.power = power
        self.attaching = attaching
        self._table = {
            "admin.vm.Start": Method(self._start),
            "admin.vm.Kill": Method(self._kill),
            "admin.vm.Shutdown": Method(self._shutdown, wants_arg=None),
            "admin.vm.Remove": Method(self._remove),
            "admin.vm.CurrentState": Method(self._current_state),
            "admin.vm.List": Method(self._list),
            "admin.vm.CreateDisposable": Method(
                self._create_disposable, wants_arg=None, wants_payload=None),
            "admin.vm.property.Get": Method(self._property, wants_arg=True),
        }
        self._device_table = {
            "Attach": Method(self._attach, wants_arg=True, wants_payload=None),
            "Detach": Method(self._detach, wants_arg=True),
            "Available": Method(self._available, wants_arg=None),
        }
        if world.dialect == "4.2":
            self._device_table["List"] = Method(self._attached, wants_arg=None)
        else:
            self._device_table["Attached"] = Method(self._attached, wants_arg=None)
            self._device_table["Assigned"] = Method(self._assigned, wants_arg=None)

    async def run(self, request: wire.Request, fault: Fault | None) -> str:
        """Execute a request; the order of checks is qubesd's."""
        self.world.qube(request.src)
        dest = self.world.qube(request.dest)
        method = self.find(request.method)
        if method is None:
            raise protocol_error(f"no such method: {request.method!r}")
        if not request.arg.isascii():
            raise Silent("argument is not ASCII")
        _check_presence(method.wants_payload, request.payload, "payload")
        _check_presence(method.wants_arg, request.arg, "argument")
        return await method.run(Context(request, dest, fault))

    def find(self, name: str) -> Method | None:
        """The method of that name in this dialect."""
        match = DEVICE_METHOD.fullmatch(name)
        if match and match[1] in CLASSES:
            return self._device_table.get(match[2])
        return self._table.get(name)

    # -- qubes

    async def _start(self, context: Context) -> str:
        name = context.dest.name
        fault = context.fault
        await self.power.start(
            context.dest, fault.params if fault and fault.do == "fail" else None,
            lambda: self.attaching.holds.wait("work", "admin.vm.Start", name, ""))
        return ""

    async def _kill(self, context: Context) -> str:
        self.power.stop(context.dest)
        return ""

    async def _shutdown(self, context: Context) -> str:
        dest = context.dest
        if not dest.is_running:
            raise not_started(dest.name)
        delay = self.power.behaviour.stop_delay
        if delay:
            asyncio.get_running_loop().call_later(delay, self._halt, dest)
        else:
            self.power.stop(dest)
        return ""

    def _halt(self, qube: Qube) -> None:
        if qube.is_running:
            self.power.stop(qube)

    async def _remove(self, context: Context) -> str:
        self.power.remove(context.dest)
        return ""

    async def _current_state(self, context: Context) -> str:
        running = context.dest.is_running
        return (f"mem={409600 if running else 0} mem_static_max=4096000 "
                f"cputime={1000000000 if running else 0} "
                f"power_state={context.dest.state}")

    async def _list(self, context: Context) -> str:
        qubes = [context.dest]
        if context.dest.klass == "AdminVM":
            qubes = list(self.world.qubes.values())
            self.world.rng.shuffle(qubes)
        return "".join(self._list_line(qube) for qube in qubes)

    def _list_line(self, qube: Qube) -> str:
        line = f"{qube.name} class={qube.klass} state={qube.state}"
        if self.world.dialect != "4.2":
            line += f" uuid={qube.uuid}"
        return line + "\n"

    async def _create_disposable(self, context: Context) -> str:
        if context.request.arg not in ("", "preload"):
            raise permission_denied("Argument not in \"'', 'preload'\"")
        if context.request.payload not in (b"", b"uuid"):
            raise protocol_error(
                "Invalid payload, expected empty string or 'uuid'")
        template = context.dest
        if template.klass == "AdminVM":
            template = self.world.qube(
                property_value(template, "default_dispvm")[2])
        if not template.template_for_dispvms:
            raise ApiError("QubesException", "Refusing to create disposable out of "
                           "app qube which has template_for_dispvms=False")
        qube = self._new_disposable(template)
        if self.power.behaviour.preload:
            self.power.set_running(qube)
        return qube.uuid if context.request.payload else qube.name

    def _new_disposable(self, template: Qube) -> Qube:
        name = ""
        while not name or name in self.world.qubes:
            name = f"disp{self.world.rng.randrange(1, 10000)}"
        qube = Qube(name, klass="DispVM", label=template.label,
                    template=template.name, usb_proxy=template.usb_proxy,
                    denied=list(template.denied))
        self.power.add(qube)
        return qube

    async def _property(self, context: Context) -> str:
        dest, name = context.dest, context.request.arg
        default, kind, value = property_value(dest, name)
        return f"default={default} type={kind} {value}"

    # -- devices

    @staticmethod
    def _devclass(context: Context) -> str:
        return context.request.method.split(".")[3]

    async def _attach(self, context: Context) -> str:
        request = context.request
        return await self.attaching.attach(
            self._devclass(context), context.dest, request.arg, request.payload,
            context.fault)

    async def _detach(self, context: Context) -> str:
        return await self.attaching.detach(
            self._devclass(context), context.dest, context.request.arg,
            context.fault)

    async def _available(self, context: Context) -> str:
        devices = self.world.listed(context.dest.name, self._devclass(context))
        return "".join(self.world.available_line(device) for device in devices
                       if context.request.arg in ("", device.port))

    async def _attached(self, context: Context) -> str:
        selector = self._selector(context)
        name = context.dest.name
        found = self.world.attached_to(name, self._devclass(context))
        return "".join(
            self.world.attached_line(device, name, options)
            for device, options in found
            if selector in (None, (device.backend, device.port)))

    async def _assigned(self, context: Context) -> str:
        selector = self._selector(context)
        lines = []
        for item in self.world.assignments:
            where = (item["backend"], item.get("port", "*"))
            if item["target"] != context.dest.name or \
                    item.get("class", "block") != self._devclass(context) or \
                    selector not in (None, where):
                continue
            identity = item.get("identity", "*")
            lines.append(wire.property_line(f"{where[0]}+{where[1]}:{identity}", {
                "device_id": identity, "port_id": where[1],
                "devclass": self._devclass(context), "backend_domain": where[0],
                "mode": "auto-attach", "frontend_domain": context.dest.name,
            }, self.world.rng))
        return "".join(lines)

    @staticmethod
    def _selector(context: Context) -> tuple[str, str] | None:
        """BACKEND+PORT of a list; without `+` it is malformed."""
        if not context.request.arg:
            return None
        backend, plus, port = context.request.arg.partition("+")
        if not plus:
            raise Silent("malformed argument")
        return backend, port


def _check_presence(wanted: bool | None, value, what: str) -> None:
    if wanted is True and not value:
        article = "an " if what == "argument" else ""
        raise protocol_error(f"expected {article}{what}")
    if wanted is False and value:
        raise protocol_error(f"unexpected {what}")


def property_value(qube: Qube, name: str) -> tuple[bool, str, str]:
    """(default, type, value) of a property; qube.properties goes first.

    There a value is text, or {"type", "value", "default"}.
    """
    builtin = {
        "name": (False, "str", qube.name),
        "klass": (True, "str", qube.klass),
        "label": (False, "label", qube.label),
        "icon": (True, "str", qube.icon),
        "guivm": (True, "vm", "" if qube.klass == "AdminVM" else "dom0"),
        "default_dispvm": (True, "vm", ""),
        "template": (False, "vm", qube.template),
        "template_for_dispvms": (True, "bool", str(qube.template_for_dispvms)),
        "autostart": (True, "bool", "False"),
        "uuid": (False, "str", qube.uuid),
    }
    given = qube.properties.get(name)
    if given is None:
        if name not in builtin:
            raise ApiError("QubesNoSuchPropertyError",
                           f"Invalid property {name!r} of {qube.name}")
        return builtin[name]
    if isinstance(given, dict):
        return (given.get("default", False), given.get("type", "str"),
                given.get("value", ""))
    kind = builtin[name][1] if name in builtin else "str"
    return False, kind, str(given)
