"""`file`: another program writes a target's state into a file; this reads it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.extraction import Output, OutputCheck
from dnslb_backend.checkers.checks.parameters import Regexp, Template, Words
from dnslb_backend.checkers.checks.template import render
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code, Result, failed
from dnslb_backend.core.model.quorum import QuestionKind


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} must be an absolute path")
    return path


class FileCheck(OutputCheck):
    """Evaluates the age of the file and its words.

    | found | result |
    |---|---|
    | no file | fail -1 |
    | last written more than `max_age` seconds ago (or ahead of the local clock) | fail -2 |
    | its first word is one of `down` | fail -6 |
    | `up` is given, and its first word is none of them | fail -1 |
    | `expect` not found in it | fail -1 |
    | it cannot be read, or not in time | error -3 |
    | else | pass |
    """

    manages_timeout: ClassVar[bool] = True
    question: ClassVar[QuestionKind] = QuestionKind.LOCAL

    type: Literal["file"] = "file"
    path: Annotated[Template, AfterValidator(_absolute)]
    expect: Regexp = ""
    up: Words = ()
    down: Words = ()
    max_age: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _words_differ(self) -> Self:
        if both := set(self.up) & set(self.down):
            raise ValueError(f"{', '.join(sorted(both))} cannot mean both up and down")
        return self

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        path = render(self.path, endpoint.address)
        file = await resources.text.read(path)
        if file is None:
            return failed(Code.NO_MATCH, f"no file {path}")
        if self.max_age is not None and abs(file.age) > self.max_age:
            when = "ago" if file.age > 0 else "ahead of the local clock"
            return failed(Code.TIMEOUT, f"written {abs(file.age):.0f} s {when}")
        word = next(iter(file.text.split(maxsplit=1)), "")
        if word in self.down:
            return failed(Code.STATUS, f"says {one_line(word)!r}")
        if self.up and word not in self.up:
            return failed(Code.NO_MATCH, f"says {one_line(word)!r}, none of {', '.join(self.up)}")
        output = Output(file.text, file.cut)
        return await self.evaluate(output, resources, expect=self.expect, text=one_line(file.text))

    def describe(self, endpoint: ProbeEndpoint) -> str:
        return f"file {render(self.path, endpoint.address)}"
