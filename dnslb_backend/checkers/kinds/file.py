"""`file`: somebody else writes a target's state into a file; this reads it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dnslb_backend.checkers.check import Endpoint
from dnslb_backend.checkers.parameters import Regexp, Template, Words
from dnslb_backend.checkers.reading import Output, ReadableCheck
from dnslb_backend.checkers.template import fill
from dnslb_backend.checkers.texts import one_line
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Code, Result, failed


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} must be an absolute path")
    return path


class FileCheck(ReadableCheck):
    """Judges the file by its age and its words.

    | what is found | result |
    |---|---|
    | no file | fail -1 |
    | last written more than `max_age` seconds ago (or ahead of our clock) | fail -2 |
    | its first word is one of `down` | fail -6 |
    | `up` is given, and its first word is none of them | fail -1 |
    | `expect` not found in it | fail -1 |
    | it cannot be read, or not in time | error -3 |
    | else | pass |
    """

    keeps_time: ClassVar[bool] = True

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

    async def ask(self, endpoint: Endpoint, limit: float, tools: Tools) -> Result:
        path = fill(self.path, endpoint.address)
        file = await tools.errands.read(path)
        if file is None:
            return failed(Code.NO_MATCH, f"no file {path}")
        if self.max_age is not None and abs(file.age) > self.max_age:
            when = "ago" if file.age > 0 else "ahead of our clock"
            return failed(Code.TIMEOUT, f"written {abs(file.age):.0f} s {when}")
        word = next(iter(file.text.split(maxsplit=1)), "")
        if word in self.down:
            return failed(Code.STATUS, f"says {one_line(word)!r}")
        if self.up and word not in self.up:
            return failed(Code.NO_MATCH, f"says {one_line(word)!r}, none of {', '.join(self.up)}")
        output = Output(file.text, file.cut)
        return await self.judge(output, tools, expect=self.expect, text=one_line(file.text))

    def describe(self, endpoint: Endpoint) -> str:
        return f"file {fill(self.path, endpoint.address)}"
