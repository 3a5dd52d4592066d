"""PowerGSLB's monitors, which are JSON, as checks.

| monitor | check |
|---|---|
| none | static |
| exec | exec: args, expected_code, output_match |
| icmp | icmp |
| tcp | tcp |
| tls | tls: host is sni |
| http, https | http: method, expected_status, body_match, tls_verify or secure, host, headers |

`${content}`, before 2.0 `%(content)s`, is the address. A monitor that names another address has the
member probed there; one that names a host has no equal.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from dnslb_backend.core.model.names import canonical_address
from dnslb_backend.importers.draft import Table

_CONTENT = re.compile(r"\$\{content\}|%\(content\)s")
_OTHER_TOKEN = re.compile(r"%\((?:id|name|type|ttl)\)s")
ADDRESS = "%(address)s"

TIMES = {"interval": 3, "timeout": 1, "fall": 3, "rise": 5}
"""What a monitor is taken to say if it does not."""


class NoEqualError(ValueError):
    """Something of PowerGSLB has no equal; the text says what."""


@dataclass(frozen=True, slots=True)
class MonitorCheck:
    """A check with its times; `address` is what is probed in place of the content."""

    check: Table
    times: Table = field(default_factory=dict)
    address: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def is_static(self) -> bool:
        return bool(self.check["type"] == "static")


def check_of(monitor: str) -> MonitorCheck:
    """The check that a monitor's JSON describes. Raises NoEqualError."""
    try:
        written = json.loads(monitor)
    except (ValueError, RecursionError) as error:
        raise NoEqualError(f"the monitor is no JSON: {error}") from error
    kind = written.get("type") if isinstance(written, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise NoEqualError(f"a monitor of type {kind!r} has no equal")
    if _OTHER_TOKEN.search(monitor):
        raise NoEqualError("the monitor uses more of a record than its content")
    known, build = KINDS[kind]
    times = {key: _number(written, key, default) for key, default in TIMES.items()}
    remarks = tuple(
        f"{key} = {written[key]!r} of the monitor has no equal"
        for key in written
        if key not in known and key not in TIMES and key != "type"
    )
    if kind == "exec" and written.get("output_match") and written.get("redirect_error", True):
        remarks += ("output_match is searched in standard output alone",)
    check, address = build(written)
    return MonitorCheck(check, {} if kind == "none" else times, address, remarks)


def _number(written: Mapping[str, Any], key: str, default: int) -> int | float:
    value = written.get(key, default)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise NoEqualError(f"{key} = {value!r} of the monitor is no number")


def _none(_: Mapping[str, Any]) -> tuple[Table, str]:
    return {"type": "static"}, ""


def _exec(written: Mapping[str, Any]) -> tuple[Table, str]:
    words = written.get("args")
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise NoEqualError("args of the monitor is no list of texts")
    check: Table = {"type": "exec", "argv": [_template(word) for word in words]}
    if code := _number(written, "expected_code", 0):
        check["pass_codes"] = [code]
    if pattern := _text(written, "output_match"):
        check["expect"] = pattern
    return check, ""


def _icmp(written: Mapping[str, Any]) -> tuple[Table, str]:
    return {"type": "icmp"}, _target(_text(written, "ip"))


def _tcp(written: Mapping[str, Any]) -> tuple[Table, str]:
    port = _number(written, "port", 0)
    return {"type": "tcp", "port": port}, _target(_text(written, "ip"))


def _tls(written: Mapping[str, Any]) -> tuple[Table, str]:
    check: Table = {"type": "tls", "port": _number(written, "port", 0)}
    if host := _text(written, "host"):
        check["sni"] = host
    if written.get("tls_verify", True) is False:
        check["verify"] = False
    return check, _target(_text(written, "ip"))


def _http(written: Mapping[str, Any]) -> tuple[Table, str]:
    url = _text(written, "url")
    address = _url_target(url)
    check: Table = {"type": "http", "url": _template(url)}
    for key, ours in (("method", "method"), ("body_match", "body"), ("host", "host")):
        if given := _text(written, key):
            check[ours] = given
    if status := _text(written, "expected_status"):
        check["status"] = [part.strip() for part in status.split(",")]
    headers = written.get("headers")
    if isinstance(headers, dict) and headers:
        # The Host header has a key of its own here.
        plain = {str(key): str(value) for key, value in headers.items()}
        hosts = [plain.pop(key) for key in list(plain) if key.lower() == "host"]
        check |= {"host": hosts[0]} if hosts else {}
        check |= {"headers": plain} if plain else {}
    if url.startswith("https:") and False in (written.get("tls_verify"), written.get("secure")):
        check["verify"] = False
    return check, address


def _text(written: Mapping[str, Any], key: str) -> str:
    value = written.get(key, "")
    if not isinstance(value, str):
        raise NoEqualError(f"{key} = {value!r} of the monitor is no text")
    return value


def _template(text: str) -> str:
    """With our token for the address, and every other per cent sign twice."""
    return ADDRESS.join(part.replace("%", "%%") for part in _CONTENT.split(text))


def _target(text: str) -> str:
    """The address that is probed, "" where it is the content."""
    if _CONTENT.fullmatch(text):
        return ""
    address = canonical_address(text)
    if address is None:
        raise NoEqualError(f"the monitor asks {text!r}, which is no address")
    return address


def _url_target(url: str) -> str:
    try:
        host = urlsplit(_CONTENT.sub("content.invalid", url)).hostname or ""
    except ValueError as error:
        raise NoEqualError(f"the URL of the monitor is none: {error}") from error
    return "" if host == "content.invalid" else _target(host)


Builder = Callable[[Mapping[str, Any]], tuple[Table, str]]

_HTTP_KEYS = frozenset(
    {"url", "method", "expected_status", "body_match", "tls_verify", "secure", "host", "headers"}
)
KINDS: Mapping[str, tuple[frozenset[str], Builder]] = {
    "none": (frozenset(), _none),
    "exec": (frozenset({"args", "expected_code", "output_match", "redirect_error"}), _exec),
    "icmp": (frozenset({"ip"}), _icmp),
    "tcp": (frozenset({"ip", "port"}), _tcp),
    "tls": (frozenset({"ip", "port", "tls_verify", "host"}), _tls),
    "http": (_HTTP_KEYS, _http),
    "https": (_HTTP_KEYS, _http),
}
