# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices that come, go, are attached and detached, and what is told of it.

Like qubesd this keeps a cache of what each backend published and who had it.
Events come from comparing: that is why a failed attach, which already wrote
the cache, makes a later list change send one spurious device-detach.
"""

import collections.abc

from .world import CLASSES, Attachment, Device, World

FRONTENDS = [f"xvd{letter}" for letter in "ijklmnopqrstuvwxyzefgh"]


class Hotplug:
    """Changes to devices; `emit(subject, event, pairs)` tells subscribers."""

    def __init__(self, world: World, emit: collections.abc.Callable):
        self.world = world
        self.emit = emit
        # some were told of at once; a qube halted that had a USB device
        self.on_added: collections.abc.Callable = lambda devices: None
        self.on_released: collections.abc.Callable = lambda device, frontend: None
        self._cache: dict[tuple, dict[str, str | None]] = {}
        self.rebuild()

    def rebuild(self) -> None:
        """Read everything anew, as a started qubesd does; tells nothing."""
        self._cache = {}
        for backend in self.world.qubes:
            for devclass in CLASSES:
                self._cache[backend, devclass] = self._picture(backend, devclass)

    def expect(self, device: Device, frontend: str | None) -> None:
        """Note who will have the device: its change is then no news."""
        self._cache.setdefault((device.backend, device.devclass), {})[
            device.port] = frontend

    # -- what was published

    def _picture(self, backend: str, devclass: str) -> dict[str, str | None]:
        """What is listed and who has it, as the backend says for USB."""
        return {device.port: self.world.attachment(device)
                for device in self.world.listed(backend, devclass)}

    def publish(self, backend: str, devclass: str, *, force: bool = False) -> None:
        """Tell what changed in a backend's list, in the order of WIRE 1.

        Plug: list-change, device-added, qdb-change. Unplug of an attached one:
        list-change, device-removed, qdb-change, device-detach on the target.
        A list change while a detached USB device still counts as attached tells
        of an attach that never was, and the next one of its detach.
        """
        old = self._cache.get((backend, devclass), {})
        new = self._picture(backend, devclass)
        if new.keys() == old.keys() and not force:
            return
        self._cache[backend, devclass] = new
        self.emit(backend, f"device-list-change:{devclass}")
        for port in sorted(old.keys() - new.keys()):
            self._tell_removed(backend, devclass, port)
        added = [self.world.devices[backend, devclass, port]
                 for port in new if port not in old]
        for device in added:
            self._tell_added(device)
        path = f"/qubes-{devclass}-devices"
        self.emit(backend, f"domain-qdb-change:{path}", (("path", path),))
        self._tell_fronts(backend, devclass, old, new)
        self.on_added(added)

    def _tell_added(self, device: Device) -> None:
        if self.world.dialect != "4.2":
            self.emit(device.backend, f"device-added:{device.devclass}",
                      (("device", self._name(device)),))

    def _tell_removed(self, backend: str, devclass: str, port: str) -> None:
        if self.world.dialect != "4.2":
            self.emit(backend, f"device-removed:{devclass}",
                      (("port", f"{backend}:{port}"),))

    def _tell_fronts(self, backend: str, devclass: str, old: dict,
                     new: dict) -> None:
        for port, had in old.items():
            has = new.get(port)
            if had and had != has:
                self._tell_detached(had, backend, devclass, port)
        for port, has in new.items():
            if has and has != old.get(port):
                device = self.world.devices[backend, devclass, port]
                self.tell_attached(device, has, {})

    def _name(self, device: Device) -> str:
        """A device in an event: without identity on 4.2."""
        if self.world.dialect == "4.2":
            return device.where
        return f"{device.where}:{self.world.identity(device)}"

    def tell_attached(self, device: Device, frontend: str, options: dict) -> None:
        """device-attach on the target; the options print as a dict does."""
        self.emit(frontend, f"device-attach:{device.devclass}",
                  (("device", self._name(device)), ("options", options)))

    def _tell_detached(self, frontend: str, backend: str, devclass: str,
                       port: str) -> None:
        key = "device" if self.world.dialect == "4.2" else "port"
        self.emit(frontend, f"device-detach:{devclass}",
                  ((key, f"{backend}:{port}"),))

    # -- plug and unplug

    def plug(self, device: Device) -> None:
        """The device is there now."""
        self.world.devices[device.key] = device
        self.publish(device.backend, device.devclass)

    def plug_all(self, devices: list[Device]) -> None:
        """Several appear with one list change of each backend and class."""
        for device in devices:
            self.world.devices[device.key] = device
        for backend in dict.fromkeys(device.backend for device in devices):
            for devclass in reversed(CLASSES):
                self.publish(backend, devclass)

    def unplug(self, device: Device) -> None:
        """The device is gone, and with it all that hangs on it."""
        for gone in self.world.subtree(device):
            self._forget(gone)
        self.settle(device.backend)

    def _forget(self, device: Device) -> None:
        self.world.devices.pop(device.key, None)
        self.world.attachments.pop(device.key, None)
        self.world.lingering.pop(device.key, None)
        self.world.held.discard(device.key)

    def replug(self, device: Device, *, keep_root: bool) -> None:
        """What hangs on a device goes and comes again, as after a reset."""
        tree = self.world.subtree(device)[1 if keep_root else 0:]
        for gone in tree:
            self._forget(gone)
        self.settle(device.backend)
        for back in tree:
            self.plug(back)

    # -- attach and detach

    def free_frontend(self, frontend: str, options: dict) -> str:
        """The name that the hypervisor's side picks; a cdrom prefers xvdd."""
        used = self.world.frontends_in_use(frontend)
        if options.get("devtype") == "cdrom" and "xvdd" not in used:
            return "xvdd"
        return next(name for name in FRONTENDS if name not in used)

    def attach(self, device: Device, frontend: str, options: dict) -> None:
        """The device is in the qube now, and device-attach says so."""
        self.rip_children(device)
        self.world.held.discard(device.key)
        self.world.attachments[device.key] = Attachment(frontend, dict(options))
        self.expect(device, frontend)
        self.tell_attached(device, frontend, options)

    def detach(self, device: Device) -> None:
        """The device is with its backend again, and device-detach says so."""
        frontend = self.world.attachments.pop(device.key).frontend
        self.expect(device, None)
        self._tell_detached(frontend, device.backend, device.devclass, device.port)

    def rip_children(self, device: Device) -> None:
        """A USB device that is attached takes its disks from whoever has them."""
        if device.devclass != "usb":
            return
        for child in self.world.subtree(device)[1:]:
            self.world.attachments.pop(child.key, None)

    def settle(self, backend: str) -> None:
        """Publish what an attach or detach has made appear or vanish."""
        for devclass in CLASSES:
            self.publish(backend, devclass)

    # -- power

    def tell_shutdown(self, name: str) -> None:
        """After domain-shutdown: what the qube had, and what it offered."""
        for devclass in CLASSES:
            old = self._cache.pop((name, devclass), {})
            for port, frontend in old.items():
                self._tell_removed(name, devclass, port)
                self.world.attachments.pop((name, devclass, port), None)
                if frontend:
                    self._tell_detached(frontend, name, devclass, port)
        for key in [key for key in self.world.devices if key[0] == name]:
            self.world.lingering.pop(key, None)
            self.world.held.discard(key)
        for key, attachment in list(self.world.attachments.items()):
            if attachment.frontend == name:
                device = self.world.devices[key]
                self.detach(device)
                if device.devclass == "usb":
                    self.on_released(device, name)
                self.settle(device.backend)
