"""`tls`: a TLS handshake, the certificate's chain and name, and how long all of it is valid."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.kinds.tcp import port_of
from dnslb_backend.checkers.checks.parameters import Port
from dnslb_backend.checkers.checks.tls_parameters import TlsCheckParameters
from dnslb_backend.checkers.resources.certificates import first_to_expire
from dnslb_backend.checkers.resources.classify import conversation
from dnslb_backend.checkers.resources.connection import TargetConnection, connected
from dnslb_backend.checkers.resources.deadlines import until
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Result, failed, passed
from dnslb_backend.network import bracketed

DAY = 86400

ALERT_TIMEOUT = 1.0
"""Seconds for a server to answer close_notify; most do so at once."""


class TlsCheck(TlsCheckParameters):
    """Does a handshake; without `sni` the certificate must be valid for the address."""

    manages_timeout: ClassVar[bool] = True

    type: Literal["tls"] = "tls"
    port: Port | None = None
    min_days: Annotated[float, Field(ge=0)] = 0

    def problems(self) -> Iterator[str]:
        yield from self.problems_of_tls(used=True)
        if self.min_days and not self.verify:
            yield "min_days needs verify: a certificate that is not verified is not read"

    @property
    def port_needed(self) -> bool:
        return self.port is None

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        port = port_of(self.port, endpoint)
        context = await resources.tls.context(self.tls_settings)
        deadline = asyncio.get_running_loop().time() + limit
        async with contextlib.AsyncExitStack() as stack:
            async with until(deadline):
                connection = await stack.enter_async_context(
                    connected(endpoint.address, port, context, self.sni or endpoint.address)
                )
            session = connection.session
            assert session is not None
            with conversation():
                result = self._judged(session)
            if session.version() == "TLSv1.3":
                await _wait_for_alert(connection, deadline)
            return result

    def describe(self, endpoint: ProbeEndpoint) -> str:
        address = f"{bracketed(endpoint.address)}:{endpoint.port or self.port or '?'}"
        return f"TLS {address} as {self.sni}" if self.sni else f"TLS {address}"

    def _judged(self, session: ssl.SSLObject) -> Result:
        version = session.version() or "TLS"
        if not self.verify:
            return passed(f"{version}, certificate not verified")
        end, name = first_to_expire(session)
        days = (end - time.time()) / DAY
        text = f"{version}, {name} valid for {days:.1f} days"
        is_enough = days >= self.min_days
        verdict = (
            passed(text) if is_enough else failed(Code.TLS, f"{text}, less than {self.min_days:g}")
        )
        return verdict._replace(certificate_expires=end)


async def _wait_for_alert(connection: TargetConnection, deadline: float) -> None:
    """Raises ssl.SSLError if the server rejects the client certificate, or the lack of one.

    In TLS 1.3 it does so only after the client's side of the handshake. No alert means success.
    """
    end = min(asyncio.get_running_loop().time() + ALERT_TIMEOUT, deadline)
    with contextlib.suppress(TimeoutError):
        async with until(end):
            await connection.say_goodbye()
