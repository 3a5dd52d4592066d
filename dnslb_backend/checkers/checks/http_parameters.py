"""The parameters of HTTP checks that need more than a type: URLs, ranges of statuses, headers."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from yarl import URL

from dnslb_backend.checkers.checks.parameters import Pairs, check_server_name
from dnslb_backend.checkers.checks.template import check_template, render
from dnslb_backend.checkers.resources.classify import TargetError
from dnslb_backend.core.health.results import Code
from dnslb_backend.network import bracketed

SAMPLE_ADDRESS = "192.0.2.1"
DEFAULT_PORTS = {"http": 80, "https": 443}

_STATUSES = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_LINE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NO_URL = re.compile(r"[\x00-\x20\x7f]")


def parsed_url(template: str, address: str) -> URL:
    """The URL with the address in its places; IPv6 in brackets, once."""
    bare = template.replace("[%(address)s]", "%(address)s")
    return URL(render(bare, bracketed(address)), encoded=True)


def redirected(url: URL, location: str) -> URL:
    """Where a Location header leads; raises TargetError where that is not an HTTP URL."""
    try:
        target = url.join(URL(location)).with_fragment(None)
        if target.scheme in DEFAULT_PORTS and target.host:
            check_server_name(target.host)
            return target.with_user(None)
    except ValueError:
        pass
    shown = location.partition("?")[0]
    raise TargetError(Code.STATUS, f"redirected to {shown!r}, which is not an HTTP URL")


def authority(host: str, port: int | None, scheme: str) -> str:
    """Host and port as the Host header has them: without the port that the scheme implies."""
    return bracketed(host) if port in (None, DEFAULT_PORTS[scheme]) else f"{bracketed(host)}:{port}"


def _check_url(text: str) -> str:
    """Refusals do not quote the URL: it may carry a secret."""
    if _NO_URL.search(text):
        raise ValueError("a URL must not contain blanks or control characters: a blank is %%20")
    check_template(text)
    try:
        url = parsed_url(text, SAMPLE_ADDRESS)
    except ValueError:
        raise ValueError(
            "not a URL; examples: http://%(address)s/health, https://www.example.com/"
        ) from None
    if url.scheme not in DEFAULT_PORTS or not url.host:
        raise ValueError("a URL begins with http://HOST or https://HOST")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError("a URL must not contain a password: use user and password_file")
    if url.raw_fragment:
        raise ValueError("what follows # in a URL is never sent to a server")
    check_server_name(url.host)
    return text


def _statuses(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError('must be a list, such as [200, "300-399"]')
    return tuple(_range(item) for item in value)


def _range(value: object) -> tuple[int, int]:
    if isinstance(value, tuple) and len(value) == 2:
        return value
    if isinstance(value, int | str) and not isinstance(value, bool):
        found = _STATUSES.fullmatch(str(value))
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first <= last:
            return first, last
    raise ValueError(f'{value!r} is not an HTTP status or range; examples: 200 or "200-299"')


def _check_headers(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    for name, value in pairs:
        if not _TOKEN.fullmatch(name):
            # Not quoted: `"Authorization: Bearer SECRET" = "…"` would show it.
            raise ValueError("what is left of = is not a header name; example: X-Name")
        if _NO_LINE.search(value):
            raise ValueError(f"{name}: a value must not contain line breaks or control characters")
        if name.lower() == "host":
            raise ValueError("the Host header has a key of its own: host")
    return pairs


def _check_host(text: str) -> str:
    url = URL.build(scheme="http", authority=text)
    if (text and not url.host) or url.raw_user is not None or set(text) & set("/?#"):
        raise ValueError("must be HOST or HOST:PORT")
    check_server_name(url.host or "")
    if _NO_URL.search(text):
        raise ValueError("must be HOST or HOST:PORT")
    return text


Url = Annotated[str, AfterValidator(_check_url)]
"""An http or https URL, which may have `%(address)s` as its host or anywhere else."""

Headers = Annotated[Pairs, AfterValidator(_check_headers)]

HostHeader = Annotated[str, AfterValidator(_check_host)]

Statuses = Annotated[tuple[tuple[int, int], ...], BeforeValidator(_statuses), Field(min_length=1)]
"""HTTP statuses and ranges of them, kept as pairs of first and last."""
