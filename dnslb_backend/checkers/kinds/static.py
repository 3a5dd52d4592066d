"""`static`: always the same result, for targets that need no check and for trying things out."""

from typing import ClassVar, Literal

from dnslb_backend.checkers.check import Check, Endpoint
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Code, Result, failed, passed


class StaticCheck(Check):
    """Asks nobody."""

    asks_nobody: ClassVar[bool] = True

    type: Literal["static"] = "static"
    result: Literal["pass", "fail"] = "pass"

    async def ask(self, endpoint: Endpoint, limit: float, tools: Tools) -> Result:
        text = f"configured to {self.result}"
        return passed(text) if self.result == "pass" else failed(Code.STATUS, text)

    def describe(self, endpoint: Endpoint) -> str:
        return f"nothing: always {self.result}"
