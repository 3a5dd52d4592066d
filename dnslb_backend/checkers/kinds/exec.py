"""`exec`: a command decides, by its exit code and what it prints; the original's only kind."""

import re
import shlex
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from dnslb_backend.checkers.check import Endpoint
from dnslb_backend.checkers.commands import Finished
from dnslb_backend.checkers.parameters import Regexp, Templates, compiled
from dnslb_backend.checkers.reading import Output, ReadableCheck, Reading
from dnslb_backend.checkers.template import fill
from dnslb_backend.checkers.texts import one_line
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Result, failed

_SECRET_OPTION = re.compile(
    r"(?i)^(-{0,2}[\w-]*(?:pass|passwd|password|secret|token|key|auth)[\w-]*)([=:])?"
)
_URL_PASSWORD = re.compile(r"(?<=//)[^/@\s]+(?=@)")


class ExecCheck(ReadableCheck):
    """Runs `argv` without a shell.

    | outcome | result |
    |---|---|
    | exit code not 0, or ended by signal N | fail: the exit code, or 128 + N as shells say it |
    | exit 0, `expect` not found in its output | fail -1 |
    | no end within the timeout | fail -2 |
    | cannot be started | error -3 |
    | exit 0, `expect` found | pass, with the priority that `prio_regex` finds |
    """

    keeps_time: ClassVar[bool] = True

    type: Literal["exec"] = "exec"
    argv: Annotated[Templates, Field(min_length=1)]
    expect: Regexp = ""
    prio_regex: Regexp = ""
    """The original's way to say `priority = { regex = ".." }`; without a group it does nothing."""

    @property
    def prio_regex_active(self) -> bool:
        return compiled(self.prio_regex).groups > 0

    @model_validator(mode="after")
    def _can_run(self) -> Self:
        if not self.argv[0]:
            raise ValueError("argv: the first element names the command and cannot be empty")
        if self.prio_regex and self.priority is not None:
            raise ValueError("prio_regex and priority say the same thing: give one of them")
        return self

    async def ask(self, endpoint: Endpoint, limit: float, tools: Tools) -> Result:
        argv = tuple(fill(word, endpoint.address) for word in self.argv)
        finished = await tools.commands.run(argv, limit)
        if finished.code:
            return failed(finished.code, _exit_text(finished))
        output = Output(finished.output, finished.cut)
        return await self._readable().judge(
            output, tools, expect=self.expect, text=one_line(finished.output)
        )

    def describe(self, endpoint: Endpoint) -> str:
        words = [fill(word, endpoint.address) for word in self.argv]
        return one_line(shlex.join(_without_secrets(words)))

    def _readable(self) -> Self:
        """This check with `prio_regex` in the form that all kinds share."""
        if not self.prio_regex_active:
            return self
        return self.model_copy(update={"priority": Reading(regex=self.prio_regex)})


def _exit_text(finished: Finished) -> str:
    line = one_line(finished.output)
    what = f"exit code {finished.code}"
    if finished.code > 128:
        what += f" (signal {finished.code - 128}?)"
    return f"{what}: {line}" if line else what


def _without_secrets(words: list[str]) -> list[str]:
    """Words that look like a password, or follow an option that does, become `***`."""
    shown: list[str] = []
    follows = False
    for word in words:
        option = _SECRET_OPTION.match(word)
        if follows:
            shown.append("***")
        elif option and option[2]:
            shown.append(f"{option[1]}{option[2]}***")
        else:
            shown.append(_URL_PASSWORD.sub("***", word))
        follows = not follows and bool(option) and not (option and option[2]) and word[:1] == "-"
    return shown
