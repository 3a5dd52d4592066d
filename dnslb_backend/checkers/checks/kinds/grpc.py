"""`grpc`: the standard health service of gRPC, grpc.health.v1."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.kinds.tcp import port_of
from dnslb_backend.checkers.checks.parameters import Port
from dnslb_backend.checkers.checks.tls_parameters import TlsCheckParameters
from dnslb_backend.checkers.resources.classify import TargetError
from dnslb_backend.checkers.resources.connection import TargetConnection, connected
from dnslb_backend.checkers.resources.deadlines import within
from dnslb_backend.checkers.resources.grpc_health import HealthCall, ServingStatus
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Result, failed, passed
from dnslb_backend.network import bracketed

SLICE = 1024
"""Bytes that are parsed before other probes run: they may be a hundred frames."""


class GrpcCheck(TlsCheckParameters):
    """Passes if the server answers SERVING for `service`, "" being the server as a whole."""

    manages_timeout: ClassVar[bool] = True

    type: Literal["grpc"] = "grpc"
    port: Port | None = None
    service: Annotated[str, Field(max_length=127, pattern=r"^[!-~]*$")] = ""
    tls: bool = False

    def problems(self) -> Iterator[str]:
        return self.problems_of_tls(used=self.tls)

    @property
    def port_needed(self) -> bool:
        return self.port is None

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        port = port_of(self.port, endpoint)
        settings = replace(self.tls_settings, alpn=("h2",))
        context = await resources.tls.context(settings) if self.tls else None
        name = self.sni or endpoint.address
        authority = f"{bracketed(name)}:{port}"
        call = HealthCall(authority, self.service, tls=self.tls, limit=limit)
        async with within(limit), connected(endpoint.address, port, context, name) as connection:
            await _perform(call, connection)
        return _judge(call.serving_status())

    def describe(self, endpoint: ProbeEndpoint) -> str:
        address = f"gRPC {bracketed(endpoint.address)}:{endpoint.port or self.port or '?'}"
        return f"{address} service {self.service}" if self.service else address


async def _perform(call: HealthCall, connection: TargetConnection) -> None:
    """Send the request, and read until the call has ended."""
    await connection.send(call.to_send())
    while data := await connection.read():
        for start in range(0, len(data), SLICE):
            await asyncio.sleep(0)
            call.receive(data[start : start + SLICE])
            if call.ended:
                return
        if reply := call.to_send():
            await connection.send(reply)
    raise TargetError(Code.REFUSED, "closed the connection early")


def _judge(status: int) -> Result:
    if status == ServingStatus.SERVING:
        return passed("SERVING")
    known = {each.value: each.name for each in ServingStatus}
    return failed(Code.STATUS, known.get(status, f"status {status}"))
