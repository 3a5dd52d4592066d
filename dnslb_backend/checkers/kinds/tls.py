"""`tls`: a TLS handshake, the certificate's chain and name, and how long it is still valid."""

import asyncio
import ssl
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from dnslb_backend.checkers.check import Endpoint
from dnslb_backend.checkers.kinds.tcp import port_of
from dnslb_backend.checkers.parameters import Port
from dnslb_backend.checkers.secure import SecureCheck
from dnslb_backend.checkers.template import bracketed
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Code, Result, failed, passed

DAY = 86400


class TlsCheck(SecureCheck):
    """Shakes hands; without `sni` the certificate must be made out to the address."""

    type: Literal["tls"] = "tls"
    port: Port | None = None
    min_days: Annotated[float, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        yield from self.problems_of_tls(used=True)
        if self.min_days and not self.verify:
            yield "min_days needs verify: a certificate that is not verified is not read"

    @property
    def port_needed(self) -> bool:
        return self.port is None

    async def ask(self, endpoint: Endpoint, limit: float, tools: Tools) -> Result:
        _, writer = await asyncio.open_connection(
            endpoint.address,
            port_of(self.port, endpoint),
            ssl=await tools.tls.context(self.tls_settings),
            server_hostname=self.sni or endpoint.address,
        )
        try:
            session: ssl.SSLObject = writer.get_extra_info("ssl_object")
            return self._judged(session.version() or "TLS", session.getpeercert() or {})
        finally:
            writer.transport.abort()

    def describe(self, endpoint: Endpoint) -> str:
        address = f"{bracketed(endpoint.address)}:{endpoint.port or self.port or '?'}"
        return f"TLS {address} as {self.sni}" if self.sni else f"TLS {address}"

    def _judged(self, version: str, certificate: dict[str, Any]) -> Result:
        ends = certificate.get("notAfter")
        if ends is None:
            return passed(f"{version}, certificate not verified")
        days = (ssl.cert_time_to_seconds(ends) - time.time()) / DAY
        text = f"{version}, certificate valid for {days:.1f} days"
        if days < self.min_days:
            return failed(Code.TLS, f"{text}, less than {self.min_days:g}")
        return passed(text)
