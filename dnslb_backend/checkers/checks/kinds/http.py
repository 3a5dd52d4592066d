"""`http` and `https`: one request, evaluated by its status and, if configured, its body."""

import base64
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, SecretStr
from yarl import URL

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.extraction import Output, OutputCheck, Scalar, json_at
from dnslb_backend.checkers.checks.http_parameters import (
    DEFAULT_PORTS,
    Headers,
    HostHeader,
    Statuses,
    Url,
    authority,
    parsed_url,
    redirected,
)
from dnslb_backend.checkers.checks.parameters import Path, Regexp
from dnslb_backend.checkers.checks.secrets import redacted, resolve_secret
from dnslb_backend.checkers.checks.tls_parameters import TlsCheckParameters
from dnslb_backend.checkers.resources.classify import TargetError, conversation
from dnslb_backend.checkers.resources.deadlines import within
from dnslb_backend.checkers.resources.http_client import HttpRequest, header_lines, request_head
from dnslb_backend.checkers.resources.http_reply import HttpReply
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code, Result, failed

REDIRECTS = frozenset({301, 302, 303, 307, 308})
SECRET_WORDS = "auth|cookie|key|pass|secret|token"
SECRET_NAME = re.compile(SECRET_WORDS, re.IGNORECASE)
"""Headers and parameters of a query whose values are secrets, by a word in their names."""

REQUESTS = 32_768
"""Requests that are kept, one for each check and address: half a kilobyte each."""

LONGEST_KEPT = 1024
"""Characters of URL and headers of a request that is kept: long ones would add up to gigabytes."""

_SECRET_PARAMETER = re.compile(rf"([?&][^=&]*(?:{SECRET_WORDS})[^=&]*=)[^&]*", re.IGNORECASE)


class HttpCheck(OutputCheck, TlsCheckParameters):
    """Connects to the endpoint's address, whatever host the URL names; that is for Host and SNI.

    | event | result |
    |---|---|
    | no complete answer in time | fail -2 |
    | refused, reset, closed without an answer | fail -4 |
    | TLS: handshake, chain, name | fail -5 |
    | a status that is not in `status`, too many redirects | fail -6 |
    | not HTTP, or a truncated body that is needed | fail -6 |
    | `body` or `json_value` not found | fail -1 |
    """

    manages_timeout: ClassVar[bool] = True
    has_headers: ClassVar[bool] = True

    type: Literal["http", "https"] = "http"
    url: Url
    method: Literal["GET", "HEAD", "OPTIONS"] = "GET"
    headers: Headers = ()
    host: HostHeader = ""
    status: Statuses = ((200, 399),)
    body: Regexp = ""
    json_path: str = ""
    json_value: Scalar | None = None
    redirects: Annotated[int, Field(ge=0, le=20)] = 0
    user: str = ""
    password: SecretStr | None = None
    password_file: Path = ""
    token: SecretStr | None = None
    token_file: Path = ""

    def problems(self) -> Iterator[str]:
        secure = self.url.startswith("https:")
        if self.type == "https" and not secure:
            yield "type https needs a URL that begins with https:"
        yield from self.problems_of_tls(used=self._may_need_tls)
        if bool(self.json_path) != (self.json_value is not None):
            yield "json_path and json_value must be given together"
        if self.method == "HEAD" and self._wants_body:
            yield "a response to HEAD has no body to check"
        yield from self._problems_of_secrets()

    def _problems_of_secrets(self) -> Iterator[str]:
        passwords = (self.password is not None) + bool(self.password_file)
        tokens = (self.token is not None) + bool(self.token_file)
        if passwords > 1 or tokens > 1:
            yield "give a secret inline or in a file, not both"
        if bool(self.user) != bool(passwords):
            yield "user needs password or password_file, and these need user"
        if self.user and tokens:
            yield "give a user or a token, not both"
        if self.token is not None and not self.token.get_secret_value().isprintable():
            yield "token: must not contain line breaks or control characters"
        if ":" in self.user:
            yield "user: must not contain a colon"

    @property
    def _may_need_tls(self) -> bool:
        return self.url.startswith("https:") or self.redirects > 0

    @property
    def _wants_body(self) -> bool:
        readings = (reading for reading in (self.priority, self.weight) if reading is not None)
        return bool(self.body or self.json_path) or any(not each.header for each in readings)

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        headers = await self._secret_headers(resources)
        asking = self._ask(endpoint, limit, resources, headers)
        if not headers and "?" not in self.url:
            return await asking
        query = parsed_url(self.url, endpoint.address).query
        secrets = (*_secrets(headers), *(query[key] for key in query if SECRET_NAME.search(key)))
        return await redacted(asking, *secrets)

    async def _ask(
        self,
        endpoint: ProbeEndpoint,
        limit: float,
        resources: CheckResources,
        secrets: dict[str, str],
    ) -> Result:
        tls = await resources.tls.context(self.tls_settings) if self._may_need_tls else None
        async with within(limit):
            reply = await self._follow(endpoint, secrets, tls, resources)
        with conversation():
            result = await self._judge_reply(reply, resources)
        if reply.certificate_expires is None:
            return result
        return result._replace(certificate_expires=reply.certificate_expires)

    def asked(self) -> dict[str, Any]:
        headers = [
            (name, "" if SECRET_NAME.search(name) else value) for name, value in self.headers
        ]
        url = _SECRET_PARAMETER.sub(r"\1", self.url)
        return super().asked() | {"headers": headers, "url": url}

    def describe(self, endpoint: ProbeEndpoint) -> str:
        url = parsed_url(self.url, endpoint.address)
        port, host, _ = _addressed(url, endpoint.address, endpoint.port, self._asked, is_home=True)
        # A query may carry a secret.
        shown = url.with_host(endpoint.address).with_port(port).with_query(None)
        text = f"{self.method} {shown}{'?…' if url.raw_query_string else ''}"
        implied = authority(endpoint.address, shown.port, url.scheme)
        return text if host == implied else f"{text} (Host: {host})"

    async def _secret_headers(self, resources: CheckResources) -> dict[str, str]:
        """The headers that only the origin of `url` may see."""
        headers = {name: value for name, value in self.headers if SECRET_NAME.search(name)}
        if self.user:
            password = await resolve_secret(self.password, self.password_file, resources.text)
            pair = base64.b64encode(f"{self.user}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        elif token := await resolve_secret(self.token, self.token_file, resources.text):
            headers["Authorization"] = f"Bearer {token}"
        return headers

    async def _follow(
        self,
        endpoint: ProbeEndpoint,
        secrets: dict[str, str],
        tls: ssl.SSLContext | None,
        resources: CheckResources,
    ) -> HttpReply:
        """The reply to the request, or to the last redirect; all go to the endpoint."""
        request = _first_request(self.url, endpoint.address, endpoint.port, self._asked)
        reply = await resources.http.request(_complete(request, secrets, tls))
        if not self.redirects:
            return reply
        home = url = parsed_url(self.url, endpoint.address)
        for _ in range(self.redirects):
            if not _is_redirect(reply):
                return reply
            url = redirected(url, reply.headers["location"])
            is_home = url.origin() == home.origin()
            request = _request(url, endpoint.address, endpoint.port, self._asked, is_home=is_home)
            reply = await resources.http.request(
                _complete(request, secrets if is_home else {}, tls)
            )
        if _is_redirect(reply):
            raise TargetError(Code.STATUS, f"more than {self.redirects} redirects")
        return reply

    @property
    def _asked(self) -> "_Asked":
        return _Asked(self.method, self.headers, self.host, self.sni, self._wants_body)

    async def _judge_reply(self, reply: HttpReply, resources: CheckResources) -> Result:
        text = one_line(f"{reply.code} {reply.reason}")
        if not any(first <= reply.code <= last for first, last in self.status):
            return failed(Code.STATUS, f"status {text}")
        output = Output(reply.body.decode("utf-8", "ignore"), reply.cut, reply.headers)
        if self.json_path:
            try:
                value = json_at(output.text, self.json_path)
            except LookupError as error:
                return failed(Code.NO_MATCH, str(error))
            if not _same(value, self.json_value):
                got = one_line(repr(value))
                return failed(Code.NO_MATCH, f"{self.json_path} is {got}, not {self.json_value!r}")
        return await self.evaluate(output, resources, expect=self.body, text=text)


class _Asked(NamedTuple):
    """What a check asks of every address."""

    method: str
    headers: tuple[tuple[str, str], ...]
    host: str
    sni: str
    body_wanted: bool


def _first_request(template: str, address: str, port: int | None, asked: _Asked) -> HttpRequest:
    """The request for the check's own URL; cached unless it is longer than LONGEST_KEPT."""
    length = len(template) + sum([len(name) + len(value) for name, value in asked.headers])
    build = _kept_request if length <= LONGEST_KEPT else _kept_request.__wrapped__
    return build(template, address, port, asked)


@lru_cache(maxsize=REQUESTS)
def _kept_request(template: str, address: str, port: int | None, asked: _Asked) -> HttpRequest:
    """Cached, because to build one takes as long as to send it."""
    return _request(parsed_url(template, address), address, port, asked, is_home=True)


def _request(
    url: URL, address: str, port: int | None, asked: _Asked, *, is_home: bool
) -> HttpRequest:
    """The request without its secrets. At home, the origin of the check's own URL, its `host`,
    `sni` and the port of the destination apply."""
    chosen, host, name = _addressed(url, address, port, asked, is_home=is_home)
    headers = {key: value for key, value in asked.headers if not SECRET_NAME.search(key)}
    return HttpRequest(
        address,
        chosen,
        request_head(asked.method, url, headers | {"Host": host}),
        is_secure=url.scheme == "https",
        server_name=asked.sni if is_home and asked.sni else name.rstrip("."),
        body_wanted=asked.body_wanted,
    )


def _addressed(
    url: URL, address: str, port: int | None, asked: _Asked, *, is_home: bool
) -> tuple[int, str, str]:
    """The port to connect to, the Host header, and the name that the certificate must have."""
    name = url.host or address
    own = port if is_home and port else url.port or DEFAULT_PORTS[url.scheme]
    host = authority(name, own, url.scheme)
    if is_home and asked.host:
        host = asked.host
        name = URL.build(scheme=url.scheme, authority=host).host or name
    return own, host, name


def _complete(
    request: HttpRequest, secrets: Mapping[str, str], tls: ssl.SSLContext | None
) -> HttpRequest:
    if secrets:
        request = replace(request, head=request.head + header_lines(secrets))
    return replace(request, tls=tls) if request.is_secure else request


def _is_redirect(reply: HttpReply) -> bool:
    return reply.code in REDIRECTS and "location" in reply.headers


def _secrets(headers: dict[str, str]) -> Iterator[str]:
    """What must not be shown of these headers: their values, and what those are made of."""
    for value in headers.values():
        scheme, _, credentials = value.partition(" ")
        yield value
        yield credentials
        if scheme == "Basic":
            with suppress(ValueError):
                yield base64.b64decode(credentials).decode().partition(":")[2]


def _same(value: Scalar, expected: Scalar | None) -> bool:
    """Equal, and true is not 1."""
    return isinstance(value, bool) == isinstance(expected, bool) and value == expected
