"""`push`: the target reports its own health; this evaluates its last report, and the age of it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.extraction import Output, OutputCheck
from dnslb_backend.checkers.checks.parameters import Path
from dnslb_backend.checkers.checks.secrets import redacted, resolve_secret
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code, Result, check_error, failed
from dnslb_backend.core.model.quorum import QuestionKind


class PushCheck(OutputCheck):
    """Evaluates the last report of the target with this token, and its age at every probe.

    | what is known | result |
    |---|---|
    | nothing since this check began, less than `max_silence` seconds ago | error -3 |
    | no report for more than `max_silence` seconds | fail -2 |
    | it reported down | fail -6 |
    | it reported up | pass |
    """

    asks_nobody: ClassVar[bool] = True
    manages_timeout: ClassVar[bool] = True
    question: ClassVar[QuestionKind] = QuestionKind.REPORTED

    type: Literal["push"] = "push"
    token: SecretStr | None = None
    token_file: Path = ""
    max_silence: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _has_one_token(self) -> Self:
        if (self.token is not None) == bool(self.token_file):
            raise ValueError("needs either token or token_file")
        if self.token is not None and not self.token.get_secret_value():
            raise ValueError("token: must not be empty")
        return self

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        token = await resolve_secret(self.token, self.token_file, resources.text)
        return await redacted(self._judge_report(token, endpoint, resources), token)

    async def _judge_report(
        self, token: str, endpoint: ProbeEndpoint, resources: CheckResources
    ) -> Result:
        report, age = resources.push_reports.last(token, endpoint.address)
        if age > self.max_silence:
            silent = failed(Code.TIMEOUT, f"silent for {age:.0f} s")
            return silent._replace(report=0) if report.at is None else silent
        if report.at is None:
            return check_error("has not reported yet")._replace(report=0)
        number, text = report.number, one_line(report.text)
        if not report.up:
            result = failed(Code.STATUS, f"reported down: {text}" if text else "reported down")
        else:
            result = await self.evaluate(Output(report.text), resources, expect="", text=text)
        return result._replace(report=number)

    def describe(self, endpoint: ProbeEndpoint) -> str:
        return f"report of {endpoint.address} at least every {self.max_silence:g} s"
