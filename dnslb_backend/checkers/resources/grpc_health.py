"""The Check call of grpc.health.v1, as bytes of HTTP/2: without a connection, and bounded.

A full client keeps connections of its own, in threads of its own; here every probe is a new
connection, and what a target may send is limited in bytes, frames and length of the message.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import cast
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from dnslb_backend.checkers.resources.classify import ProbeError, TargetError
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code

METHOD = "/grpc.health.v1.Health/Check"
STREAM = 1

EVENT_LIMIT = 100
"""HTTP/2 events in one answer; a server needs about ten."""

MESSAGE_LIMIT = 4096
PREFIX = 5
"""Bytes before a message: whether it is compressed, and its length."""


class ServingStatus(IntEnum):
    """HealthCheckResponse.ServingStatus."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


class StatusCode(IntEnum):
    """The status codes of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


OUR_ACCESS = frozenset({StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED})
"""The server does not let this client ask: that says nothing about its health."""


class HealthCall:
    """One call; it has `ended` when the status is known."""

    def __init__(self, authority: str, service: str, *, tls: bool, limit: float) -> None:
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._http.local_settings = Settings(
            client=True, initial_values={SettingCodes.ENABLE_PUSH: 0}
        )
        self._http.initiate_connection()
        self._http.send_headers(
            STREAM,
            [
                (":method", "POST"),
                (":scheme", "https" if tls else "http"),
                (":path", METHOD),
                (":authority", authority),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("user-agent", "dnslb-backend"),
                ("grpc-timeout", f"{max(1, round(limit * 1000))}m"),
            ],
        )
        self._http.send_data(STREAM, _framed(service), end_stream=True)
        self._headers: dict[str, str] = {}
        self._message = b""
        self._events = 0
        self.ended = False

    def to_send(self) -> bytes:
        """What is to be sent now; the request at first."""
        return self._http.data_to_send()

    def receive(self, data: bytes) -> None:
        """Raises TargetError for what is not an answer."""
        if not self._events and data.startswith(b"HTTP/1."):
            raise TargetError(Code.STATUS, "the answer is HTTP/1, not HTTP/2")
        try:
            events = self._http.receive_data(data)
        except (H2Error, ValueError) as error:
            raise TargetError(
                Code.STATUS, f"the answer is not HTTP/2 ({type(error).__name__})"
            ) from error
        self._events += len(events)
        if self._events > EVENT_LIMIT:
            raise TargetError(Code.STATUS, f"sent more than {EVENT_LIMIT} events of HTTP/2")
        for event in events:
            self._take(event)

    def serving_status(self) -> int:
        """The answer of a call that has ended.

        Raises TargetError for any other status of gRPC than OK, ProbeError for OUR_ACCESS.
        """
        self._check_status()
        return _serving_status(self._message)

    def _take(self, event: Event) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            self._headers.update(cast(Mapping[str, str], dict(event.headers or ())))
            if isinstance(event, ResponseReceived):
                self._check_response()
        elif isinstance(event, DataReceived):
            self._message += event.data or b""
            if len(self._message) > MESSAGE_LIMIT:
                raise TargetError(Code.STATUS, f"the answer has more than {MESSAGE_LIMIT} bytes")
        elif isinstance(event, StreamEnded):
            self.ended = True
        elif isinstance(event, StreamReset | ConnectionTerminated) and not self.ended:
            raise TargetError(Code.REFUSED, f"broke off the call: {_name(event.error_code)}")

    def _check_response(self) -> None:
        status = self._headers.get(":status", "")
        if status != "200":
            raise TargetError(Code.STATUS, f"HTTP status {one_line(status)}")
        kind = self._headers.get("content-type", "")
        if not kind.startswith("application/grpc"):
            raise TargetError(Code.STATUS, f"the answer is not gRPC, but {one_line(kind)!r}")

    def _check_status(self) -> None:
        text = self._headers.get("grpc-status", "")
        try:
            status = StatusCode(int(text))
        except ValueError:
            raise TargetError(Code.STATUS, f"grpc-status is {one_line(text)!r}") from None
        if status is StatusCode.OK:
            return
        detail = one_line(unquote(self._headers.get("grpc-message", "")))
        shown = f"{status.name}: {detail}" if detail else status.name
        if status in OUR_ACCESS:
            raise ProbeError(shown)
        code = Code.TIMEOUT if status is StatusCode.DEADLINE_EXCEEDED else Code.STATUS
        raise TargetError(code, shown)


def _framed(service: str) -> bytes:
    """HealthCheckRequest, whose only field is the name; it is shorter than 128 bytes."""
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _serving_status(framed: bytes) -> int:
    """The last field 1 of a HealthCheckResponse; 0 without one."""
    length = int.from_bytes(framed[1:PREFIX], "big")
    message = framed[PREFIX:]
    if framed[:1] != b"\0" or len(framed) != PREFIX + length:
        raise TargetError(Code.STATUS, "the answer is not one uncompressed message")
    try:
        statuses = [value for field, value in _fields(message) if field == 1]
    except IndexError:
        raise TargetError(Code.STATUS, "the message ends within a field") from None
    return statuses[-1] if statuses else 0


def _fields(message: bytes) -> Iterator[tuple[int, int]]:
    """Number and value of each field that is an integer; IndexError if the last one is cut off."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire_type = key & 7
        if wire_type == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire_type == 2:
            size, at = _varint(message, at)
        else:
            size = {1: 8, 5: 4}.get(wire_type, len(message))
        at += size
        if at > len(message):
            raise IndexError


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The integer at a place, and the place after it."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _name(error_code: object) -> str:
    return getattr(error_code, "name", str(error_code))
