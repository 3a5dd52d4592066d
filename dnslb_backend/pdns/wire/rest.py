"""The three dialects of PowerDNS's HTTP connector.

    REST (default)       GET   /dns/lookup/www%2elb%2eexample%2e/ANY
                         PATCH /dns/setNotified/7           serial=2026112201.000000
    post=1               POST  /dns/lookup                  parameters={"qname": ..., ...}
    post=1,post_json=1   POST  /dns                         {"method": "lookup", ...}

In REST, PowerDNS writes some parameters into the path, in a fixed order, and the others into
the query or a form. Headers (the client) do not affect the answer here.
"""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

from dnslb_backend.errors import DnslbError, RequestError
from dnslb_backend.pdns.wire.parameters import Parameters
from dnslb_backend.pdns.wire.requests import load_object, parse_request

PREFIX = "/dns"
_LOOKUP = f"{PREFIX}/lookup/"

FIELD_LIMIT = 1000
"""Fields of one form or query."""

_VALUE = rb"[ -~]{0,255}"
_YAHTTP_LOOKUP = re.compile(
    rb"GET /dns/lookup/([^\x00-\x20/?\x7f-\xff]{1,4096})/([0-9A-Za-z]{1,16}) HTTP/1\.1\r\n"
    rb"Accept: VALUE\r\nConnection: Keep-Alive\r\nHost: (VALUE)\r\nUser-Agent: VALUE\r\n"
    rb"X-Remotebackend-Local: VALUE\r\nX-Remotebackend-Real-Remote: (VALUE)\r\n"
    rb"X-Remotebackend-Remote: VALUE\r\nX-Remotebackend-Zone-Id: VALUE\r\n\r\n".replace(
        b"VALUE", _VALUE
    )
)

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class NoSuchPathError(DnslbError):
    """Nothing is served under this path."""


class WrongVerbError(DnslbError):
    """The path is known, but not with this HTTP method; the text is the one that is."""


class Form(NamedTuple):
    """How one method looks in REST: its verb and the parameters of its path."""

    verb: str
    path: tuple[str, ...] = ()


_KEY = ("id", "name")

REST = {
    "lookup": Form("GET", ("qname", "qtype")),
    "apilookup": Form("GET", ("qname", "qtype")),
    "list": Form("GET", ("domain_id", "zonename")),
    "getalldomains": Form("GET"),
    "getdomaininfo": Form("GET", ("name",)),
    "getalldomainmetadata": Form("GET", ("name",)),
    "getdomainmetadata": Form("GET", ("name", "kind")),
    "setdomainmetadata": Form("PATCH", ("name", "kind")),
    "getdomainkeys": Form("GET", ("name",)),
    "adddomainkey": Form("PUT", ("name",)),
    "removedomainkey": Form("DELETE", _KEY),
    "activatedomainkey": Form("POST", _KEY),
    "deactivatedomainkey": Form("POST", _KEY),
    "publishdomainkey": Form("POST", _KEY),
    "unpublishdomainkey": Form("POST", _KEY),
    "getbeforeandafternamesabsolute": Form("GET", ("id", "qname")),
    "gettsigkey": Form("GET", ("name",)),
    "gettsigkeys": Form("GET"),
    "settsigkey": Form("PATCH", ("name",)),
    "deletetsigkey": Form("DELETE", ("name",)),
    "getupdatedmasters": Form("GET"),
    "setnotified": Form("PATCH", ("id",)),
    "searchrecords": Form("GET"),
    "directbackendcmd": Form("POST"),
}

VERBS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


def parse_lookup(target: str) -> tuple[str, str] | None:
    """Name and type of a lookup in REST, None when `target` is anything else.

    The fast path for the most frequent request.
    """
    if not target.startswith(_LOOKUP) or "?" in target:
        return None
    qname, slash, qtype = target[len(_LOOKUP) :].partition("/")
    if not slash or not qtype.isalnum():
        return None
    return decode(qname), decode(qtype).upper()


class WholeLookup(NamedTuple):
    """A lookup with what its headers say: the host that is asked, and the client's network."""

    qname: str
    qtype: str
    host: str
    real_remote: str


def parse_whole_lookup(request: bytes) -> WholeLookup | None:
    """A whole request exactly as PowerDNS's HTTP library (YaHTTP, which sorts the headers) sends
    it for a lookup in REST; None for any other. Raises RequestError.

    The fast path for all lookups of PowerDNS: whatever else a client may send, aiohttp parses.
    """
    found = _YAHTTP_LOOKUP.fullmatch(request)
    if found is None:
        return None
    qname, qtype, host, real_remote = (part.decode("ascii") for part in found.groups())
    return WholeLookup(decode(qname), qtype.upper(), host, real_remote)


def parse_http(verb: str, target: str, body: bytes) -> tuple[str, Parameters]:
    """Method and parameters of a request in any of the dialects.

    Raises NoSuchPathError, WrongVerbError, or RequestError if it is invalid.
    """
    path, _, query = target.partition("?")
    if path.rstrip("/") == PREFIX:
        if verb != "POST":
            raise WrongVerbError("POST")
        return parse_request(body)
    if not path.startswith(f"{PREFIX}/"):
        raise NoSuchPathError(PREFIX)
    # Where url= ends in a slash, there are two here.
    method, *components = (decode(part) for part in path[len(PREFIX) :].lstrip("/").split("/"))
    form = REST.get(method.lower())
    fields = {**parse_form(query), **(parse_form(text_of_body(body)) if body else {})}
    if verb == "POST" and "parameters" in fields and not components:
        return method, load_object(str(fields["parameters"]))
    if verb not in VERBS:
        raise WrongVerbError(form.verb if form else ", ".join(sorted(VERBS)))
    if form is None:
        return method, {}
    if verb != form.verb:
        raise WrongVerbError(form.verb)
    _check_path(method, components, form.path)
    if method.lower() == "adddomainkey":
        fields = {"key": fields}
    return method, {**fields, **dict(zip(form.path, components, strict=True))}


def _check_path(method: str, components: list[str], path: tuple[str, ...]) -> None:
    if len(components) != len(path):
        raise RequestError(f"{method} is requested as {'/'.join((method, *path))}")
    if path == REST["lookup"].path and not components[1].isalnum():
        raise RequestError(f"{components[1][:40]!r} is not a type: see url-suffix in pdns.conf")


def parse_form(text: str) -> dict[str, object]:
    """The fields of a form or a query; `name[]` collects its values in a list."""
    _check_escapes(text)
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELD_LIMIT, errors="strict")
    except ValueError as error:
        raise RequestError(f"not a form: {error}") from None
    fields: dict[str, object] = {}
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        if name.endswith("[]"):
            lists.setdefault(name[:-2], []).append(value)
        else:
            fields[name] = value
    return {**fields, **lists}


def text_of_body(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"not UTF-8: {error}") from None


def decode(component: str) -> str:
    """One part of a path without its percent-encoding; raises RequestError."""
    if "%" not in component:
        _check_escapes(component)
        return component
    # PowerDNS encodes all but letters and digits, which in most names are the dots only.
    plain = component.replace("%2e", ".")
    if "%" not in plain and plain.isascii():
        return plain
    _check_escapes(component)
    return text_of_body(unquote_to_bytes(component))


def _check_escapes(text: str) -> None:
    """Raise RequestError for a half escape, and for bytes that should have been escaped."""
    if not text.isascii() or _BAD_ESCAPE.search(text):
        raise RequestError("not percent-encoded as a URL must be")
