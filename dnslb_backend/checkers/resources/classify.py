"""Whose fault an exception is that stopped a probe: the one place that decides it.

The phase decides. Until a target can be spoken to, the errno does:

| exception | verdict |
|---|---|
| refused, reset, host unreachable (its gateway said so, or no answer to ARP) | fail -4 |
| no way: a router said so | fail -4 |
| no way: this machine knows no route | error |
| out of descriptors, memory, buffers or ports; no permission | error |
| any other of the system | error |

Once it can, inside of `conversation`, what goes wrong comes of what the target sent or left out:

| exception | verdict |
|---|---|
| anything of TLS | fail -5 |
| reset, closed early, and any other of the system but those below | fail -4 |
| out of descriptors, memory, buffers | error |
| any other, with its traceback in the debug log: a reply that the check does not expect | fail -6 |

And in both:

| exception | verdict |
|---|---|
| ProbeError | error: we could not ask, or could not judge the answer |
| TargetError | fail with its code |
| TimeoutError, ETIMEDOUT | fail -2 |
| any other | error, with its traceback in the log: a fault of the check |
"""

import errno
import logging
import os
import socket
import ssl
from types import TracebackType

from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code, Result, check_error, failed
from dnslb_backend.errors import DnslbError

log = logging.getLogger(__name__)

TARGET_ERRNOS = frozenset(
    {
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOPROTOOPT,
        errno.ENOTCONN,
        errno.EPIPE,
    }
)
"""The target, or a router in front of it, turned us away."""

LOCAL_ERRNOS = frozenset(
    {
        errno.EACCES,
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EAGAIN,
        errno.EINVAL,
        errno.EMFILE,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOENT,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EPERM,
    }
)
"""The question never left this machine."""

RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What this machine may run out of at any moment, in the middle of a conversation too."""

ROUTING_ERRNOS = frozenset({errno.EACCES, errno.ENETUNREACH})
"""These are ours only where this machine knows no way to the target."""


class ProbeError(DnslbError):
    """We could not ask, or could not judge the answer: it says nothing about the target."""


class StallError(ProbeError):
    """This process stalled while the probe was under way."""


class TargetError(DnslbError):
    """The target did not do what was asked; `code` is the result's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def no_answer(limit: float) -> Result:
    return failed(Code.TIMEOUT, f"no answer within {limit:g} s")


def refused(text: str) -> Result:
    return failed(Code.REFUSED, text)


class _Conversation:
    """The context manager of `conversation`; it has no state."""

    # No generator: it is entered several times in every probe.
    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, _UNDERSTOOD):
            _raise_as_failure(error)


_UNDERSTOOD = (DnslbError, TimeoutError, ssl.SSLError, MemoryError)
_CONVERSATION = _Conversation()


def conversation() -> _Conversation:
    """Everything that follows the connect: what goes wrong in here is the target's failure.

    Raises TargetError for it. TLS errors and timeouts pass through, since `classify_exception`
    knows them, as does what this machine may run out of.
    """
    return _CONVERSATION


def _raise_as_failure(error: Exception) -> None:
    if isinstance(error, OSError):
        if error.errno not in RESOURCES:
            raise TargetError(Code.REFUSED, _reason(error)) from error
    elif isinstance(error, EOFError):
        raise TargetError(Code.REFUSED, "closed the connection early") from error
    else:
        # Libraries stumble over foreign answers in many ways.
        log.debug("cannot parse a reply", exc_info=error)
        text = f"cannot read the answer: {type(error).__name__}"
        raise TargetError(Code.STATUS, text) from error


def classify_exception(error: Exception, limit: float, address: str) -> Result:
    """The result of a probe of `address` that ended with this exception; `limit` (s) its timeout.

    Where a router says over ICMP that there is no way, the system uses the same words as where
    it knows of none itself.
    """
    if isinstance(error, ProbeError):
        return check_error(one_line(str(error)), is_stall=isinstance(error, StallError))
    if isinstance(error, TargetError):
        return failed(error.code, one_line(str(error)))
    if isinstance(error, TimeoutError):
        return no_answer(limit)
    if isinstance(error, ssl.SSLError | ssl.CertificateError):
        return failed(Code.TLS, f"TLS: {_tls_reason(error)}")
    if isinstance(error, OSError) and error.errno in ROUTING_ERRNOS and _has_route(address):
        return refused(_reason(error))
    if isinstance(error, OSError) and error.errno in LOCAL_ERRNOS:
        return check_error(_reason(error))
    if isinstance(error, ConnectionError) or (
        isinstance(error, OSError) and error.errno in TARGET_ERRNOS
    ):
        return refused(_reason(error))
    if isinstance(error, MemoryError):
        return check_error("out of memory")
    log.error("unhandled exception in a probe", exc_info=error)
    return check_error(f"unexpected {type(error).__name__}: {one_line(str(error))}")


def _has_route(address: str) -> bool:
    """Whether this machine knows a way there; nothing is sent to find out."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect((address, 9))
        except OSError:
            return False
    return True


def _reason(error: OSError) -> str:
    """The system's own words: those of asyncio carry addresses, and differ by event loop."""
    if error.errno:
        return os.strerror(error.errno)
    return one_line(str(error)) or type(error).__name__


def _tls_reason(error: ssl.SSLError | ssl.CertificateError) -> str:
    detail = getattr(error, "verify_message", None)
    if isinstance(detail, str) and detail:
        return one_line(detail)
    reason = getattr(error, "reason", None)
    return reason.lower().replace("_", " ") if isinstance(reason, str) else one_line(str(error))
