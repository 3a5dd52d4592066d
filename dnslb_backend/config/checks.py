"""The checks of a record: `check`, `checks`, or the argv list that the original has."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.checkers.checks.kinds.exec import ExecCheck
from dnslb_backend.checkers.checks.registry import check_class, parse_check
from dnslb_backend.config.models import RecordSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.config.validation import dotted, problems_of
from dnslb_backend.core.model.records import Dest


def build_checks(settings: RecordSettings, own: RecordSettings, where: Cursor) -> list[Check]:
    """The checks of a record; `own` is what it says itself, `settings` with what it inherits."""
    if settings.check is not None and settings.checks is not None:
        where.refuse("has both check and checks; write one of them")
        return []
    written: list[tuple[Cursor, Any]] = [(where.at("check"), settings.check)]
    if settings.checks is not None:
        written = [(where.at("checks", i), value) for i, value in enumerate(settings.checks)]
    checks = [_check(value, settings, place) for place, value in written]
    found = [check for check in checks if check is not None]
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
    try:
        return parse_check(value)
    except ValidationError as error:
        where.refuse_invalid(error, check_class(value["type"]))
    except ValueError as error:
        where.refuse(str(error))
    return None


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
