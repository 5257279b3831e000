# SPDX-License-Identifier: GPL-2.0-or-later
"""How a call ends when it does not succeed."""


class ApiError(Exception):
    """An exception of qubesd: its type's name and its message.

    KeyError-like exceptions of qubesd print with quotes around the message;
    whoever raises one puts them there.
    """

    def __init__(self, kind: str, message: str):
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Silent(Exception):
    """Zero bytes and a clean end of input, in every release (WIRE 1)."""


class Never(Exception):
    """The call is never answered; its connection stays open."""


# 4.2 and 4.3 send zero bytes for these, 4.4 tells them as exceptions
TOLD_SINCE_4_4 = ("ProtocolError", "PermissionDenied")


def protocol_error(message: str) -> ApiError:
    """A request that a correct client would not have sent."""
    return ApiError("ProtocolError", message)


def permission_denied(message: str) -> ApiError:
    """A request that an extension of qubesd refuses."""
    return ApiError("PermissionDenied", message)


def value_error(message: str) -> ApiError:
    """A value of the right form that qubesd does not take."""
    return ApiError("QubesValueError", message)


def already_attached(message: str) -> ApiError:
    """DeviceAlreadyAttached; the quotes are part of the message."""
    return ApiError("DeviceAlreadyAttached", repr(message))


def not_halted(name: str) -> ApiError:
    """QubesVMNotHaltedError."""
    return ApiError("QubesVMNotHaltedError",
                    f"Domain is not powered off: {name!r}")


def not_started(name: str) -> ApiError:
    """QubesVMNotStartedError."""
    return ApiError("QubesVMNotStartedError", f"Domain is powered off: {name!r}")
