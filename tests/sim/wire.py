# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes of the Admin API (WIRE 1): requests, answers, arguments, lines.

Pure functions, no state and no I/O.
"""

import dataclasses
import random
import re

from .errors import Silent, protocol_error, value_error

REQUEST_MAX = 65536
UNKNOWN_INTERFACE = "?******"
UNKNOWN_IDENTITY = "0000:0000::" + UNKNOWN_INTERFACE

_OPTION = re.compile(r"([^\s='\"]+)='((?:\\'|[^'])*)'")
_QUBE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
# what may stand in an Attach payload without a leading underscore
_PLAIN_KEYS = ("backend_domain", "devclass", "device_id", "frontend_domain",
               "mode", "port_id")


class FramingError(Exception):
    """The request is no request: qubesd drops the connection."""


@dataclasses.dataclass(frozen=True)
class Request:
    """METHOD[+ARG] SP SRC SP "name" SP DEST NUL PAYLOAD"""

    method: str
    arg: str
    src: str
    dest: str
    payload: bytes
    raw: bytes


@dataclasses.dataclass(frozen=True)
class Selector:
    """What an Attach or Detach argument names."""

    backend: str
    port: str
    identity: str | None


def parse_request(raw: bytes) -> Request:
    """Split a request; the header is cut at single spaces."""
    header, nul, payload = raw.partition(b"\0")
    parts = header.decode("latin-1").split(" ", 3)
    if not nul or len(parts) != 4:
        raise FramingError(raw)
    call, src, kind, dest = parts
    if (kind, dest) == ("keyword", "adminvm"):
        kind, dest = "name", "dom0"
    if kind != "name":
        raise FramingError(raw)
    method, _, arg = call.partition("+")
    return Request(method, arg, src, dest, payload, raw)


def check_qube_name(name: str) -> None:
    """Refuse what can not be the name of a qube."""
    if not name.isascii():
        raise Silent("not ASCII")
    if len(name) > 31:
        raise value_error("VM name must be shorter than 32 characters")
    if re.match(r"[0-9_.-]", name):
        raise value_error("VM name cannot start with hyphen, underscore, dot "
                          "or numbers")
    if not _QUBE_NAME.fullmatch(name):
        raise value_error("VM name contains illegal characters")


def parse_selector(arg: str, dialect: str) -> Selector:
    """Decode BACKEND+PORT[+DEVID]: `+` stands for `:`, `_______` for `?******`.

    An argument without `+` is malformed: zero bytes. 4.2 knows no DEVID.
    """
    backend, plus, rest = arg.partition("+")
    if not plus:
        raise Silent("malformed argument")
    if dialect == "4.2":
        return Selector(backend, rest, None)
    port, _, identity = rest.replace("+", ":").partition(":")
    identity = identity.replace("_" * len(UNKNOWN_INTERFACE), UNKNOWN_INTERFACE)
    return Selector(backend, port, identity or None)


def encode_selector(backend: str, port: str, identity: str | None = None) -> str:
    """Encode an argument as a correct client does."""
    if identity is None:
        return f"{backend}+{port}"
    identity = identity.replace(UNKNOWN_INTERFACE, "_" * len(UNKNOWN_INTERFACE))
    return f"{backend}+{port}+{identity.replace(':', '+')}"


def parse_options(payload: bytes, dialect: str) -> tuple[dict, dict]:
    """Options and plain properties of an Attach payload.

    4.3, 4.4: `_read-only='yes' _frontend-dev='xvdj'`. What is not quoted, or a
    key without underscore that is no property of an assignment, is refused.
    """
    try:
        text = payload.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise protocol_error(str(error)) from error
    if dialect == "4.2":
        return _parse_options_4_2(text), {}
    options: dict[str, str] = {}
    plain: dict[str, str] = {}
    while text:
        match = _OPTION.match(text)
        rest = text[match.end():] if match else ""
        if not match or (rest and not rest.startswith(" ")):
            raise protocol_error("Invalid chars in property name: {'='}")
        key, value = match[1], match[2].replace("\\'", "'")
        if key.startswith("_"):
            options[key[1:]] = value
        elif key in _PLAIN_KEYS:
            plain[key] = value
        else:
            raise protocol_error("DeviceAssignment.__init__() got an unexpected "
                                 f"keyword argument '{key}'")
        text = rest.lstrip()
    return options, plain


def _parse_options_4_2(text: str) -> dict[str, str]:
    options = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals:
            raise protocol_error("bad payload")
        options[key] = value
    return options


def answer_ok(data: str = "") -> bytes:
    """Success: 0 NUL DATA"""
    return b"0\0" + data.encode("utf-8")


def answer_exception(kind: str, message: str, traceback: str = "") -> bytes:
    """Exception: 2 NUL TYPE NUL TRACEBACK NUL MESSAGE NUL"""
    return b"2\0" + b"".join(text.encode("utf-8") + b"\0"
                             for text in (kind, traceback, message))


def event_frame(subject: str, event: str, pairs: tuple = ()) -> bytes:
    """Event: 1 NUL SUBJECT NUL EVENT NUL (KEY NUL VALUE NUL)* NUL"""
    words = [subject, event]
    for key, value in pairs:
        words += [key, str(value)]
    return b"1\0" + b"".join(
        word.encode("ascii", "backslashreplace") + b"\0" for word in words
    ) + b"\0"


def quote(value: str) -> str:
    """A property's value: only `'` is escaped, a backslash is not."""
    return "'" + value.replace("'", "\\'") + "'"


def property_line(head: str, properties: dict, rng: random.Random) -> str:
    """One line of Available or Attached; the keys come in any order."""
    keys = list(properties)
    rng.shuffle(keys)
    words = [head] + [f"{key}={quote(properties[key])}" for key in keys]
    return " ".join(words) + "\n"


def options_line_4_2(head: str, options: dict) -> str:
    """One line of List on 4.2."""
    words = [head] + [f"{key}={value}" for key, value in options.items()]
    return " ".join(words + ["persistent=no"]) + "\n"


def cut_in_pieces(data: bytes, rng: random.Random, n_max: int = 6) -> list[bytes]:
    """Cut at random: a reader must not lean on the edges of what it reads."""
    n_cuts = min(rng.randrange(n_max), max(len(data) - 1, 0))
    cuts = sorted(rng.sample(range(1, len(data)), n_cuts)) if n_cuts else []
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:]) if b > a]
