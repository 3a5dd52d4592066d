"""Whose fault an exception is that stopped a probe: the one place that decides it.

| exception | verdict |
|---|---|
| ProbeError | error: we could not ask, or could not judge the answer |
| TargetError | fail with its code |
| TimeoutError, ETIMEDOUT | fail -2 |
| anything of TLS | fail -5 |
| refused, reset, broken pipe, closed early | fail -4 |
| host unreachable (its gateway said so, or nobody answered ARP) | fail -4 |
| network unreachable: no route from here | error |
| out of descriptors, memory, buffers or ports; no permission | error |
| any other | error, with its traceback in the log: nobody thought of it |
"""

import asyncio
import errno
import logging
import os
import socket
import ssl

from dnslb_backend.checkers.texts import one_line
from dnslb_backend.core.results import Code, Result, failed, fault
from dnslb_backend.errors import DnslbError

log = logging.getLogger(__name__)

THEIRS = frozenset(
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

OURS = frozenset(
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


FROM_AFAR = frozenset({errno.EACCES, errno.ENETUNREACH})
"""These are ours only where this machine knows no way to the target."""


class ProbeError(DnslbError):
    """We could not ask, or could not judge the answer: it says nothing about the target."""


class TargetError(DnslbError):
    """The target did not do what was asked; `code` is the result's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def no_answer(limit: float) -> Result:
    return failed(Code.TIMEOUT, f"no answer within {limit:g} s")


def refused(text: str) -> Result:
    return failed(Code.REFUSED, text)


def verdict(error: Exception, limit: float, address: str) -> Result:
    """The result of a probe of `address` that ended with this exception; `limit` (s) its timeout.

    Where a router says over ICMP that there is no way, the system uses the same words as where
    it knows of none itself.
    """
    if isinstance(error, ProbeError):
        return fault(one_line(str(error)))
    if isinstance(error, TargetError):
        return failed(error.code, one_line(str(error)))
    if isinstance(error, TimeoutError):
        return no_answer(limit)
    if isinstance(error, ssl.SSLError | ssl.CertificateError):
        return failed(Code.TLS, f"TLS: {_tls_reason(error)}")
    if isinstance(error, OSError) and error.errno in FROM_AFAR and _has_route(address):
        return refused(_reason(error))
    if isinstance(error, OSError) and error.errno in OURS:
        return fault(_reason(error))
    if isinstance(error, ConnectionError) or (isinstance(error, OSError) and error.errno in THEIRS):
        return refused(_reason(error))
    if isinstance(error, asyncio.IncompleteReadError):
        return refused("closed the connection early")
    log.error("a probe ended with an exception that nobody expected", exc_info=error)
    return fault(f"unexpected {type(error).__name__}: {one_line(str(error))}")


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
