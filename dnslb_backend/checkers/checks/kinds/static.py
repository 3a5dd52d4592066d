"""`static`: always the same result, for targets that need no check and for trying things out."""

from typing import ClassVar, Literal

from dnslb_backend.checkers.checks.base import Check, ProbeEndpoint
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Result, failed, passed
from dnslb_backend.core.model.quorum import QuestionKind

RESULTS = {
    "pass": passed("configured to pass"),
    "fail": failed(Code.STATUS, "configured to fail"),
}


class StaticCheck(Check):
    """Sends nothing."""

    asks_nobody: ClassVar[bool] = True
    question: ClassVar[QuestionKind] = QuestionKind.LOCAL

    type: Literal["static"] = "static"
    result: Literal["pass", "fail"] = "pass"

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        return RESULTS[self.result]

    def describe(self, endpoint: ProbeEndpoint) -> str:
        return f"nothing: always {self.result}"
