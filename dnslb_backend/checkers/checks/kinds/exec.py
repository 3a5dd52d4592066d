"""`exec`: a command decides, by its exit code and what it prints; the original's only kind."""

import re
import shlex
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.extraction import Extractor, Output, OutputCheck
from dnslb_backend.checkers.checks.parameters import ExitCodes, Regexp, Templates, compiled
from dnslb_backend.checkers.checks.secrets import redacted
from dnslb_backend.checkers.checks.template import render
from dnslb_backend.checkers.resources.commands import Finished
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code, Result, check_error, failed

_SECRET_OPTION = re.compile(
    r"(?i)^(-{0,2}[\w-]*(?:pass|passwd|password|secret|token|key|auth)[\w-]*)([=:])?"
)
_LOGIN_OPTION = re.compile(r"-[auU]|--(proxy-)?user")
_LOGIN = re.compile(r"((?:-[auU])?[^-/:%\s][^/:%\s]*[:%]).+")
"""NAME:PASSWORD, or NAME%PASSWORD."""

_PORT = re.compile(r"[0-9]{1,5}")
_URL_PASSWORD = re.compile(r"(?<=//)[^/@\s]+(?=@)")


class ExecCheck(OutputCheck):
    """Runs `argv` without a shell.

    | outcome | result |
    |---|---|
    | exit code in `error_codes` | error -3 |
    | exit code in neither `pass_codes` nor `warn_codes` | fail: the exit code (-1 for 0) |
    | killed by signal N | as exit code 128 + N, as in shells |
    | `expect` not found in its output | fail -1 |
    | no end within the timeout | fail -2 |
    | cannot be started, or its program is not loaded in time | error -3 |
    | else | pass, with the priority that `prio_regex` finds |
    """

    manages_timeout: ClassVar[bool] = True

    type: Literal["exec"] = "exec"
    argv: Annotated[Templates, Field(min_length=1)]
    expect: Regexp = ""
    pass_codes: ExitCodes = (0,)
    warn_codes: ExitCodes = ()
    """These pass as well, with a warning in the text."""
    error_codes: ExitCodes = ()
    """With these the command could not determine the health."""
    prio_regex: Regexp = ""
    """The original's way to say `priority = { regex = "…" }`; without a group it has no effect."""

    @property
    def prio_regex_active(self) -> bool:
        return compiled(self.prio_regex).groups > 0

    @model_validator(mode="after")
    def _can_run(self) -> Self:
        if not self.argv[0]:
            raise ValueError("argv: the first element names the command and cannot be empty")
        if self.prio_regex and self.priority is not None:
            raise ValueError("prio_regex and priority do the same: give one of them")
        return self

    @model_validator(mode="after")
    def _codes_differ(self) -> Self:
        counted = Counter((*self.pass_codes, *self.warn_codes, *self.error_codes))
        if twice := sorted(code for code, count in counted.items() if count > 1):
            shown = ", ".join(map(str, twice))
            raise ValueError(
                f"{shown}: an exit code may be listed once in pass_codes, warn_codes, error_codes"
            )
        return self

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        argv = tuple(render(word, endpoint.address) for word in self.argv)
        secrets = tuple(_secrets(argv))
        return await redacted(self._run(argv, secrets, limit, resources), *secrets)

    async def _run(
        self,
        argv: tuple[str, ...],
        secrets: tuple[str, ...],
        limit: float,
        resources: CheckResources,
    ) -> Result:
        finished = await resources.commands.run(argv, limit, secrets)
        if finished.code in self.error_codes:
            return check_error(_exit_text(finished))
        is_warning = finished.code in self.warn_codes
        if not is_warning and finished.code not in self.pass_codes:
            return failed(finished.code or Code.NO_MATCH, _exit_text(finished))
        output = Output(finished.output, finished.cut)
        text = f"warning, {_exit_text(finished)}" if is_warning else one_line(finished.output)
        return await self._readable().evaluate(output, resources, expect=self.expect, text=text)

    def asked(self) -> dict[str, Any]:
        return super().asked() | {"argv": words_without_secrets(list(self.argv))}

    def describe(self, endpoint: ProbeEndpoint) -> str:
        words = [render(word, endpoint.address) for word in self.argv]
        return one_line(shlex.join(words_without_secrets(words)))

    def _readable(self) -> Self:
        """This check with `prio_regex` in the form that all kinds share."""
        if not self.prio_regex_active:
            return self
        return self.model_copy(update={"priority": Extractor(regex=self.prio_regex)})


def _exit_text(finished: Finished) -> str:
    """The exit code, and the first line of its output, or of standard error if there is none."""
    line = one_line(finished.output) or _first_words(finished.stderr)
    what = f"exit code {finished.code}"
    if finished.signal:
        what += f" ({_signal_name(finished.signal)})"
    elif name := _signal_name(finished.code - 128):
        # A shell reports a killed command so; other programs may mean something else by it.
        what += f" ({name}?)"
    return f"{what}: {line}" if line else what


def _signal_name(number: int) -> str:
    """ "" where there is no such signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}" if signal.SIGRTMIN < number < signal.SIGRTMAX else ""


def _first_words(stderr: str) -> str:
    """Its first line; the last one of a Python traceback, which has the exception."""
    line = one_line(stderr)
    return one_line(stderr.rstrip().splitlines()[-1]) if line.startswith("Traceback ") else line


def _secrets(argv: tuple[str, ...]) -> Iterator[str]:
    """What looks like a password in these words: the command may print it."""
    for word, shown in zip(argv, words_without_secrets(list(argv)), strict=True):
        before, is_hidden, after = shown.partition("***")
        if is_hidden:
            yield word.removeprefix(before).removesuffix(after)


def words_without_secrets(words: list[str]) -> list[str]:
    """The words of a command; those that look like a password, or follow an option that does, are
    `***`."""
    shown: list[str] = []
    option = ""
    for word in words:
        shown.append(_without_secret(option, word))
        option = word if word[:1] == "-" and shown[-1] == word else ""
    return shown


def _without_secret(option: str, word: str) -> str:
    """The word without its secret; `option` is the one that it follows."""
    if _SECRET_OPTION.match(option) or (option == "-p" and not _PORT.fullmatch(word)):
        return "***"
    if (login := _LOGIN.fullmatch(word)) and (
        _LOGIN_OPTION.fullmatch(option) or _LOGIN_OPTION.match(word)
    ):
        return f"{login[1]}***"
    if (named := _SECRET_OPTION.match(word)) and named[2]:
        return f"{named[1]}{named[2]}***"
    if word.startswith("-p") and word != "-p" and not _PORT.fullmatch(word[2:]):
        # As for mysql; a port number is shown.
        return "-p***"
    if " " in word:
        return " ".join(words_without_secrets(word.split(" ")))
    return _URL_PASSWORD.sub("***", word)
