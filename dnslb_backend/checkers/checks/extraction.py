"""Extracts priority and weight from an answer, and checks whether it is the expected one.

The rules are the original's: `@` is the destination's own value, a number is that number, any
other text counts its length + 1 (a bar of `+++` is 4). Where nothing is found, the priority is
-1 (healthy, out of service) and the weight is the destination's own.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.checkers.checks.parameters import Regexp, compiled
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code, Result, failed, passed

NUMBER_LIMIT = 2**31 - 1
"""Larger numbers are cut to this: the mirror's columns are 32 bits wide."""

NOT_FOUND_PRIORITY = -1

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Output:
    """What a target answered: the start of it (`cut` if there was more), and named values."""

    text: str
    cut: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""


class Extractor(BaseModel):
    """Where in the answer a number is: one of `regex`, `header`, `json_path`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    regex: Regexp = ""
    """Its first group is the number."""
    header: str = ""
    json_path: str = ""
    """Keys and indexes with dots between them: `pools.0.load`."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(map(bool, (self.regex, self.header, self.json_path))) != 1:
            raise ValueError("needs exactly one of regex, header, json_path")
        if self.regex and not compiled(self.regex).groups:
            raise ValueError(f"regex {self.regex!r} has no group: nothing to read")
        return self


class OutputCheck(Check):
    """A check whose answer may carry priority and weight."""

    has_headers: ClassVar[bool] = False

    priority: Extractor | None = None
    weight: Extractor | None = None

    @model_validator(mode="after")
    def _can_be_extracted(self) -> Self:
        if not self.has_headers and any(
            extractor is not None and extractor.header for extractor in (self.priority, self.weight)
        ):
            raise ValueError("header: only answers of http have headers")
        return self

    @property
    def reads_numbers(self) -> bool:
        return self.priority is not None or self.weight is not None

    async def evaluate(
        self, output: Output, resources: CheckResources, *, expect: str, text: str
    ) -> Result:
        """Pass with priority and weight if `expect` (a regexp) is found in the answer.

        Raises ProbeError if the search takes too long.
        """
        if not expect and not self.reads_numbers:
            return passed(text)
        found = await self._find(output, resources, expect)
        return found.result(text) if found.expected else unexpected(expect, output)

    async def judge_part(
        self, output: Output, resources: CheckResources, *, expect: str, text: str
    ) -> Result | None:
        """The result if all that is looked for is in this start of an answer; raises as
        `evaluate`.
        """
        found = await self._find(output, resources, expect)
        wanted = ((self.priority, found.priority), (self.weight, found.weight))
        if found.expected and all(value is not None for extractor, value in wanted if extractor):
            return found.result(text)
        return None

    async def _find(self, output: Output, resources: CheckResources, expect: str) -> "_Found":
        extractors = [
            extractor for extractor in (self.priority, self.weight) if extractor is not None
        ]
        patterns = [expect, *(extractor.regex for extractor in extractors)]
        wanted = list(dict.fromkeys(filter(None, patterns)))
        answers = await resources.text.search(output.text, *wanted) if wanted else []
        found = dict(zip(wanted, answers, strict=True))
        groups = {pattern: hit.group for pattern, hit in found.items() if hit is not None}
        return _Found(
            self,
            expected=not expect or found[expect] is not None,
            priority=None if self.priority is None else _value(self.priority, output, groups),
            weight=None if self.weight is None else _value(self.weight, output, groups),
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """What of the wanted is in an answer; None: it is not, or was not wanted."""

    check: OutputCheck
    expected: bool
    priority: str | None
    weight: str | None

    def result(self, text: str) -> Result:
        return passed(
            text,
            priority=None if self.check.priority is None else priority_of(self.priority),
            weight=None if self.check.weight is None else weight_of(self.weight),
        )


def unexpected(expect: str, output: Output) -> Result:
    where = " in its first 64 KiB" if output.cut else ""
    got = one_line(output.text)
    text = f"reply does not match {expect!r}{where}"
    return failed(Code.NO_MATCH, f"{text}: {got!r}" if got else text)


def priority_of(text: str | None) -> int | None:
    """The priority that a text means; None is the destination's own."""
    if text is None:
        return NOT_FOUND_PRIORITY
    return _number(text)


def weight_of(text: str | None) -> int | None:
    """The weight (>= 0) that a text means; None is the destination's own."""
    if text is None:
        return None
    number = _number(text)
    return None if number is None else max(0, number)


def _number(text: str) -> int | None:
    if text == "@":
        return None
    try:
        number = int(text)
    except ValueError:
        return len(text) + 1
    return max(-NUMBER_LIMIT, min(NUMBER_LIMIT, number))


def _value(extractor: Extractor, output: Output, groups: Mapping[str, str | None]) -> str | None:
    if extractor.regex:
        # A group that took no part in the match counts as no match.
        return groups.get(extractor.regex)
    if extractor.header:
        return output.headers.get(extractor.header.lower())
    try:
        value = json_at(output.text, extractor.json_path)
    except LookupError:
        return None
    return _as_text(value)


def _as_text(value: Scalar) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return str(NUMBER_LIMIT if value > 0 else -NUMBER_LIMIT)
    return str(int(value))


def json_at(text: str, path: str) -> Scalar:
    """The scalar at a dotted path of a JSON text; raises LookupError when there is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LookupError("the answer is not JSON") from error
    for key in path.split("."):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            raise LookupError(f"the answer has no {path}")
    if not isinstance(value, str | int | float):
        raise LookupError(f"{path} is neither text nor number")
    return value
