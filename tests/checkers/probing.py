"""One probe, as the daemon makes it, from the table of its check."""

from typing import Any

from dnslb_backend.checkers.check import Endpoint, run_probe
from dnslb_backend.checkers.registry import parse_check
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Result

HERE = "127.0.0.1"
LIMIT = 5.0


async def probe(
    tools: Tools,
    check: dict[str, Any] | list[str],
    *,
    address: str = HERE,
    port: int | None = None,
    limit: float = LIMIT,
) -> Result:
    return await run_probe(parse_check(check), Endpoint(address, port), limit, tools)
