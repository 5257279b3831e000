# SPDX-License-Identifier: GPL-2.0-or-later
"""admin.vm.device.CLASS.Attach and .Detach, and attachments by others."""

import asyncio
import collections
import collections.abc
import functools
import re

from . import wire
from .behaviour import Behaviour
from .errors import (ApiError, Silent, already_attached, permission_denied,
                     protocol_error, value_error)
from .faults import Holds
from .hotplug import Hotplug
from .waiting import Changes
from .world import Device, Qube, World

NOT_RUNNING = "VM not running, cannot attach device, do you mean `assign`?"
TRUE_WORDS = ("1", "yes", "true", "on")
FALSE_WORDS = ("0", "no", "false", "off")
# the hypervisor refuses to hotplug into these
DEAD_TO_HOTPLUG = ("Halted", "Dying", "Crashed")
USB_PORT = re.compile(r"[0-9]+-[0-9]+(\.[0-9]+)*")


class Attaching:
    """Attach and Detach, with their checks in qubesd's order."""

    def __init__(self, world: World, hotplug: Hotplug, behaviour: Behaviour,
                 holds: Holds, changes: Changes):
        self.world = world
        self.hotplug = hotplug
        self.behaviour = behaviour
        self.holds = holds
        self.changes = changes
        # held while the hypervisor works: it blocks the whole of qubesd
        self.hypervisor = asyncio.Lock()
        # somebody's Attach of a device begins ("during") or is over ("after")
        self.on_call: collections.abc.Callable = lambda device, moment: None
        self._usb_busy: collections.Counter = collections.Counter()
        self._tasks: set[asyncio.Task] = set()

    # -- Attach

    async def attach(self, devclass: str, dest: Qube, arg: str, payload: bytes,
                     fault=None) -> str:
        """The call: argument, payload, permission, target, device, deed."""
        selector = wire.parse_selector(arg, self.world.dialect)
        if selector.backend not in self.world.qubes:
            raise Silent("unknown backend")
        options, plain = wire.parse_options(payload, self.world.dialect)
        self._check_plain(plain, selector, devclass)
        device = self._resolve(devclass, selector, plain)
        self._check_denied(dest, device, selector)
        if dest.state == "Halted" or \
                dest.state in self.behaviour.not_running_states:
            raise ApiError("QubesVMNotRunningError", NOT_RUNNING)
        if device is None:
            if self._is_misnamed_usb(devclass, selector):
                return ""
            raise protocol_error(f"Cannot attach ambiguous {devclass} device.")
        self.on_call(device, "during")
        await asyncio.sleep(0)
        if fault and fault.do == "wrong-device":
            device = self.world.devices[device.backend, devclass,
                                        fault.params["port"]]
        try:
            self._check_same_qube(device, dest)
            await self._do(f"admin.vm.device.{devclass}.Attach", device, dest,
                           options, arg, fault)
        finally:
            self.on_call(device, "after")
        return ""

    async def attach_native(self, device: Device, dest: Qube,
                            options: dict) -> None:
        """qubesd itself attaches what is assigned: fewer checks, same deed."""
        await self._do("native-attach", device, dest, options, device.where, None)

    async def _do(self, method: str, device: Device, dest: Qube, options: dict,
                  arg: str, fault) -> None:
        deed = (self._attach_block if device.devclass == "block"
                else self._attach_usb)
        await deed(device, dest, options,
                   functools.partial(self._work, method, dest, arg), fault)
        self.soon(self._settle(device.backend))

    @staticmethod
    def _check_plain(plain: dict, selector: wire.Selector, devclass: str) -> None:
        expected = {"backend_domain": selector.backend, "port_id": selector.port,
                    "devclass": devclass}
        if selector.identity is not None:
            expected["device_id"] = selector.identity
        for key, value in expected.items():
            if plain.get(key, value) != value:
                raise protocol_error(f"Got {plain[key]} when expected {value}.")

    def _resolve(self, devclass: str, selector: wire.Selector,
                 plain: dict) -> Device | None:
        """The device, if it is there and still has the pinned identity."""
        device = self.world.device(selector.backend, devclass, selector.port)
        pinned = selector.identity or plain.get("device_id")
        if device is not None and pinned not in (None, "*", "_") and \
                pinned != self.world.identity(device):
            return None
        return device

    def _check_denied(self, dest: Qube, device: Device | None,
                      selector: wire.Selector) -> None:
        """The target's denied-devices list: without DEVID nothing passes."""
        if not dest.denied or self.world.dialect == "4.2":
            return
        if selector.identity is None or device is None:
            raise permission_denied(
                "Could not load interfaces to verify against denied list")
        interfaces = self.world.properties(device)["interfaces"]
        for start in range(0, len(interfaces), 7):
            interface = interfaces[start:start + 7]
            for pattern in dest.denied:
                if all(p in ("*", c) for p, c in zip(pattern, interface)):
                    raise permission_denied(
                        f"Device exposes a banned interface: {interface}")

    @staticmethod
    def _is_misnamed_usb(devclass: str, selector: wire.Selector) -> bool:
        """An unpinned USB port of a wrong form is answered as attached."""
        return (devclass == "usb" and selector.identity is None
                and not USB_PORT.fullmatch(selector.port))

    def _name(self, device: Device) -> str:
        if self.world.dialect == "4.2":
            return device.where
        return f"{device.where}:{self.world.identity(device)}"

    def _check_same_qube(self, device: Device, dest: Qube) -> None:
        if self.world.attachment(device) == dest.name:
            raise already_attached(
                f"device {self._name(device)} of class {device.devclass} "
                f"already attached to {dest.name}")

    def _check_other_qube(self, device: Device) -> None:
        owner = self.world.attachment(device)
        if owner is not None:
            raise already_attached(
                f"Device {self._name(device)} already attached to {owner}")

    async def _work(self, method: str, dest: Qube, arg: str) -> None:
        """The time that the deed takes."""
        await self.holds.wait("work", method, dest.name, arg)
        if self.behaviour.attach_delay:
            await asyncio.sleep(self.behaviour.attach_delay)

    def _is_there(self, device: Device) -> bool:
        return self.world.devices.get(device.key) is device and \
            self.world.is_running(device.backend)

    # -- block

    async def _attach_block(self, device: Device, dest: Qube, options: dict,
                            work: collections.abc.Callable, fault) -> None:
        """One at a time: of several at once one wins."""
        async with self.hypervisor:
            self._check_same_qube(device, dest)
            self._check_block_options(device, options)
            self._check_other_qube(device)
            self.hotplug.expect(device, dest.name)
            self._tell_extra(dest.name, "device-pre-attach:block", (
                ("device", self._name(device)), ("options", options)))
            if "frontend-dev" not in options:
                options["frontend-dev"] = self.hotplug.free_frontend(
                    dest.name, options)
            await work()
            used = self.world.frontends_in_use(dest.name)
            if fault and fault.do == "fail" or options["frontend-dev"] in used \
                    or dest.state in DEAD_TO_HOTPLUG or not self._is_there(device):
                raise Silent("libvirt failed in attachDevice")
            self.hotplug.attach(device, dest.name, options)

    @staticmethod
    def _check_block_options(device: Device, options: dict) -> None:
        """Refuse unknown options, fill in read-only."""
        for key, value in options.items():
            if key == "frontend-dev":
                if not value.startswith(("xvd", "sd")):
                    raise value_error(f"Invalid frontend-dev option value: {value}")
            elif key == "read-only":
                options[key] = _yes_or_no(value)
            elif key == "devtype":
                if value not in ("disk", "cdrom"):
                    raise value_error("devtype option can only have 'disk' or "
                                      "'cdrom' value")
            else:
                raise value_error(f"Unsupported option {key}")
        options.setdefault("read-only", "yes" if device.mode == "r" else "no")
        if options["read-only"] == "no" and device.mode == "r":
            raise value_error("This device can be attached only read-only")

    # -- usb

    async def _attach_usb(self, device: Device, dest: Qube, options: dict,
                          work: collections.abc.Callable, fault) -> None:
        """Not serialised: the caller has to do that."""
        if options:
            raise ApiError("QubesException",
                           "USB device attach does not support user options")
        self._check_other_qube(device)
        self._tell_extra(dest.name, "device-pre-attach:usb", (
            ("device", self._name(device)), ("options", options)))
        if not dest.usb_proxy:
            raise ApiError("USBProxyNotInstalled",
                           "qubes-usb-proxy not installed in the VM")
        collides = self._usb_busy[dest.name] > 0
        self.hotplug.expect(device, dest.name)
        self._usb_busy[dest.name] += 1
        try:
            # a paused qube does not answer, as long as it is paused
            await self.changes.until(lambda: dest.state != "Paused")
            await work()
            # a service in another qube is never done at once
            await asyncio.sleep(0)
        finally:
            self._usb_busy[dest.name] -= 1
        if fault and fault.do == "fail" or collides or dest.state != "Running" \
                or not self._is_there(device):
            reason = fault.params.get("message", "") if fault else ""
            raise ApiError("QubesUSBException", "Device attach failed: "
                           + (reason or f"{device.port}: no free port or no agent"))
        if device.key in self.world.attachments:
            # another got it meanwhile; this one is told 0 all the same
            self.hotplug.tell_attached(device, dest.name, {})
            return
        self.hotplug.attach(device, dest.name, {})

    # -- Detach

    async def detach(self, devclass: str, dest: Qube, arg: str, fault=None) -> str:
        """The call: argument BACKEND+PORT, no payload."""
        selector = wire.parse_selector(arg, self.world.dialect)
        if selector.backend not in self.world.qubes:
            raise Silent("unknown backend")
        device = self.world.first_attached(dest.name, devclass, selector.port)
        if device is None:
            raise ApiError("DeviceNotAssigned", repr(
                f"{devclass} device {selector.port} not attached to {dest.name}"))
        self._tell_extra(dest.name, f"device-pre-detach:{devclass}",
                         (("port", device.where),))
        await self.holds.wait("work", f"admin.vm.device.{devclass}.Detach",
                              dest.name, arg)
        if fault and fault.do == "fail" or \
                device.key not in self.world.attachments:
            if devclass == "block":
                raise Silent("libvirt failed in detachDevice")
            raise ApiError("QubesUSBException", "Device detach failed: Device "
                           f"{device.port} not found or not attached to any VM!")
        self.detach_now(device)
        return ""

    # -- by others than the Admin API

    def attach_now(self, device: Device, frontend: str, options: dict) -> None:
        """Attach without any check, as the person's own tool ends up doing."""
        options = dict(options)
        if device.devclass == "block":
            options.setdefault("read-only", "no")
            options.setdefault("frontend-dev",
                               self.hotplug.free_frontend(frontend, options))
        self.hotplug.attach(device, frontend, options)
        self.soon(self._settle(device.backend))

    def detach_now(self, device: Device) -> None:
        """Detach; a USB device lingers and may be probed anew."""
        frontend = self.world.attachments[device.key].frontend
        self.hotplug.detach(device)
        if device.devclass == "usb":
            self._linger(device, frontend)
        self.soon(self._settle_detached(device))

    def released(self, device: Device, frontend: str) -> None:
        """The qube that had a USB device halted: nobody called USBDetach."""
        self.world.held.add(device.key)
        self._linger(device, frontend)

    def _linger(self, device: Device, frontend: str) -> None:
        lag = self.behaviour.usb_detach_lag
        if lag == 0:
            return
        self.world.lingering[device.key] = frontend
        if lag > 0:
            asyncio.get_running_loop().call_later(lag, self.end_lag, device.key)

    def resume_lags(self) -> None:
        """Lags that were running when the simulator was killed start anew."""
        for key, frontend in list(self.world.lingering.items()):
            self._linger(self.world.devices[key], frontend)

    def end_lags_of(self, frontend: str) -> None:
        """What a qube had before it halted is over once it is up again."""
        if self.behaviour.usb_detach_lag < 0:
            return  # only when asked for
        for key, name in list(self.world.lingering.items()):
            if name == frontend:
                self.end_lag(key)

    def end_lag(self, key: tuple) -> None:
        """The backend has written that the device is free: a list change."""
        if self.world.lingering.pop(key, None) is not None:
            self.hotplug.publish(key[0], "usb", force=True)
        self.changes.notify()

    # -- afterwards

    async def _settle(self, backend: str) -> None:
        """The backend's udev rules publish a moment later."""
        self.hotplug.settle(backend)
        self.changes.notify()

    async def _settle_detached(self, device: Device) -> None:
        self.hotplug.settle(device.backend)
        if device.devclass == "usb" and self.behaviour.reprobe != "none" and \
                self._is_there(device):
            self.hotplug.replug(device,
                                keep_root=self.behaviour.reprobe == "block")
        self.changes.notify()

    def _tell_extra(self, subject: str, event: str, pairs: tuple) -> None:
        if self.behaviour.extra_events:
            self.hotplug.emit(subject, event, pairs)

    @property
    def n_tasks(self) -> int:
        """How much goes on that nobody's call waits for."""
        return len(self._tasks)

    def soon(self, coroutine) -> asyncio.Task:
        """Do something by and by; the world goes on meanwhile."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _yes_or_no(value: str) -> str:
    if value.lower() in TRUE_WORDS:
        return "yes"
    if value.lower() in FALSE_WORDS:
        return "no"
    raise value_error(f"Invalid literal for boolean property: {value!r}")
