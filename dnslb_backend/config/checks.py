"""The checks of a record: `check`, `checks`, or the argv list that the original has."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.checkers.checks.kinds.exec import ExecCheck
from dnslb_backend.checkers.checks.registry import KINDS, check_class, parse_check
from dnslb_backend.config.missing_files import warn_of_missing_files
from dnslb_backend.config.models import RecordSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.config.suggestions import unknown
from dnslb_backend.config.validation import dotted, problems_of
from dnslb_backend.core.model.records import Dest

_PLACEHOLDER = re.compile(r"(?<![$%])\{(?:address|addr|ip|host)\}|\$HOSTADDRESS\$")
_MEANT = "did you mean %(address)s?"


def build_checks(
    settings: RecordSettings, own: RecordSettings, where: Cursor, advice: Cursor | None
) -> list[Check]:
    """The checks of a record; `own` is what it says itself, `settings` with what it inherits.

    `advice` is the table that the checks are written in, None if it was warned of already.
    """
    if settings.check is not None and settings.checks is not None:
        where.refuse("has both check and checks; write one of them")
        return []
    written: dict[tuple[str | int, ...], Any] = {("check",): settings.check}
    if settings.checks is not None:
        written = {("checks", i): value for i, value in enumerate(settings.checks)}
    found: list[Check] = []
    for path, value in written.items():
        check = _check(value, settings, where.at(*path))
        if check is not None:
            found.append(check)
            if advice is not None:
                warn_of_missing_files(check, advice.at(*path))
                _warn_of_placeholders(value, advice.at(*path))
    if found and not any(isinstance(check, ExecCheck) for check in found):
        for name in {"expect", "prio_regex"} & own.model_fields_set:
            where.at(name).refuse(
                "belongs to a command check; write it inside the check's own table"
            )
    return found


def check_ports(checks: Sequence[Check], dests: Sequence[Dest], where: Cursor) -> None:
    """Refuse a check that would not know which port to probe."""
    if any(check.port_needed for check in checks):
        for dest in dests:
            if dest.check_port is None:
                where.refuse(f"needs a port, here or as check_port of {dest.host}")
                return


def _check(value: Any, settings: RecordSettings, where: Cursor) -> Check | None:
    if isinstance(value, list):
        return _argv_check(value, settings, where)
    kind = value.get("type")
    if isinstance(kind, str) and kind not in KINDS:
        where.at("type").refuse(unknown(f"type {kind!r}", kind, KINDS))
        return None
    if set("{}") & set(_authority(value.get("url"))):
        where.at("url").refuse(f"has braces in the host; {_MEANT}")
        return None
    try:
        return parse_check(value)
    except ValidationError as error:
        where.refuse_invalid(error, check_class(value["type"]))
    except ValueError as error:
        where.refuse(str(error))
    return None


def _authority(url: object) -> str:
    return url.partition("://")[2].partition("/")[0] if isinstance(url, str) else ""


def _warn_of_placeholders(value: object, where: Cursor) -> None:
    """Warn of an address in the form of other programs, which would be sent as it is."""
    if isinstance(value, dict):
        for key, part in value.items():
            _warn_of_placeholders(part, where.at(key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _warn_of_placeholders(part, where.at(index))
    elif isinstance(value, str) and (found := _PLACEHOLDER.search(value)):
        where.warn(f"has {found[0]}, which is not replaced; {_MEANT}")


def _argv_check(argv: list[str], settings: RecordSettings, where: Cursor) -> Check | None:
    if settings.expect is None:
        where.parent.refuse("needs expect, here or in [default]")
        return None
    try:
        return ExecCheck(
            argv=tuple(argv), expect=settings.expect, prio_regex=settings.prio_regex or ""
        )
    except ValidationError as error:
        # The key of the table is not what was written, but a list in its place.
        table, listed = dotted(*where.path, "argv"), dotted(*where.path)
        for problem in problems_of(error, where.file, where.path, ExecCheck):
            path = problem.path.replace(table, listed, 1)
            where.problems.problems.append(replace(problem, path=path))
    return None
