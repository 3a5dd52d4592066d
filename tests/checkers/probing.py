"""One probe, as the daemon makes it, from the table of its check."""

from typing import Any

from dnslb_backend.checkers.checks.base import ProbeEndpoint, run_probe
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Result

HERE = "127.0.0.1"
LIMIT = 5.0


async def probe(
    tools: CheckResources,
    check: dict[str, Any] | list[str],
    *,
    address: str = HERE,
    port: int | None = None,
    limit: float = LIMIT,
) -> Result:
    return await run_probe(parse_check(check), ProbeEndpoint(address, port), limit, tools)
