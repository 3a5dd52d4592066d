"""Overrides: created and cleared."""

import logging
from http import HTTPStatus
from typing import Annotated, Literal

from aiohttp import web
from pydantic import ConfigDict, Field

from dnslb_backend.admin.api.rows import OverrideRow, override_row
from dnslb_backend.admin.control import Control, Readmitted
from dnslb_backend.admin.http.auth import authorize
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.names import Name, resolve_record_name
from dnslb_backend.admin.http.problems import field_problem
from dnslb_backend.admin.http.requests import read_body, read_query
from dnslb_backend.admin.http.responses import json_response
from dnslb_backend.admin.http.timestamps import GivenTimestamp, render_timestamp
from dnslb_backend.admin.http.tokens import Role
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import MAX_WEIGHT, Action, Override
from dnslb_backend.logs import fields

LONGEST = 10 * 366 * 86400.0
"""Seconds from now to the end of an override that has one."""

log = logging.getLogger(__name__)

Target = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        description="an address, a destination host, a label (key=value), or a glob",
    ),
]


class OverrideBody(ApiModel):
    """The override that an operator wants; without an end it is in force until it is cleared."""

    model_config = ConfigDict(extra="forbid", strict=True)

    target: Target
    action: Action
    weight: int | None = Field(
        default=None, ge=0, le=MAX_WEIGHT, description="of the action weight, and of no other"
    )
    name: Name = Field(default="", description="only this record; empty: all")
    node: str = Field(default="", max_length=255, description="only this node; empty: all")
    reason: str = Field(default="", max_length=1024)
    starts_in: float | None = Field(
        default=None, gt=0, le=LONGEST, allow_inf_nan=False, description="seconds from now"
    )
    starts: GivenTimestamp | None = Field(default=None, description="instead of starts_in")
    expires_in: float | None = Field(
        default=None,
        gt=0,
        le=LONGEST,
        allow_inf_nan=False,
        description="seconds from now, or from when it starts",
    )
    expires: GivenTimestamp | None = Field(default=None, description="instead of expires_in")
    force: bool = Field(
        default=False, description="also where a record loses its last serving member"
    )


class ClearQuery(ApiModel):
    """Which overrides to clear."""

    model_config = ConfigDict(extra="forbid")

    target: str = Field(
        min_length=1,
        max_length=1024,
        description="that of the override, a glob over it, or the id of one override",
    )
    name: Name = Field(default="", description="only overrides of this record alone")
    force: Literal["true", "false"] = Field(
        default="false", description="also where a record loses its last serving member"
    )


class ReadmittedRow(ApiModel):
    """A member that serves again, though no override held it out."""

    zone: str
    name: str
    type: str
    content: str
    address: str
    was: Literal["flapping", "waiting"] = Field(
        description="held out by damping, or waiting for failback"
    )


class ClearedReport(ApiModel):
    """What was cleared; one of the two may be empty."""

    cleared: tuple[OverrideRow, ...] = Field(description="overrides")
    readmitted: tuple[ReadmittedRow, ...] = Field(description="members that were held out")


async def create_override(request: web.Request) -> web.Response:
    asked = await read_body(request, OverrideBody)
    control = request.app[STATE].control
    author = _author(request)
    name = await _record_name(control, asked.name)
    _check_weight(asked)
    wall = control.now().wall
    starts = _start_of(asked, wall)
    override = OverrideRequest(
        action=asked.action,
        target=asked.target,
        name=name,
        node=asked.node,
        reason=asked.reason,
        author=author,
        expires=_end_of(asked, wall if starts is None else starts),
        force=asked.force,
        starts=starts,
        weight=asked.weight,
    )
    created = await control.override(override)
    _log_override(created.action, created, author)
    return json_response(override_row(created, wall), status=HTTPStatus.CREATED)


async def clear_overrides(request: web.Request) -> web.Response:
    asked = read_query(request, ClearQuery)
    control = request.app[STATE].control
    author = _author(request)
    name = await _record_name(control, asked.name)
    force = asked.force == "true"
    cleared = await control.clear(asked.target, name=name, author=author, force=force)
    for override in cleared.overrides:
        _log_override("clear", override, author)
    for member in cleared.readmitted:
        _log_readmitted(member, author)
    return json_response(
        ClearedReport(
            cleared=tuple(override_row(one, control.now().wall) for one in cleared.overrides),
            readmitted=tuple(map(_readmitted_row, cleared.readmitted)),
        )
    )


async def _record_name(control: Control, written: str) -> str:
    """The record that an override is for; "" is every one."""
    return await resolve_record_name(control, written, "name") if written else ""


def _author(request: web.Request) -> str:
    """The author of an override: the name of the token, which may have been revoked by now."""
    state = request.app[STATE]
    return authorize(request, state.access, Role.OPERATE, state.refusals).name


def _check_weight(asked: OverrideBody) -> None:
    """Raises ProblemError."""
    if asked.action is Action.WEIGHT and asked.weight is None:
        raise field_problem("weight", f"is needed for this action: a number from 0 to {MAX_WEIGHT}")
    if asked.action is not Action.WEIGHT and asked.weight is not None:
        raise field_problem("weight", 'is only for the action "weight"')


def _start_of(asked: OverrideBody, wall: float) -> float | None:
    """When the override begins, Unix time; None for at once. Raises ProblemError."""
    if asked.starts_in is not None and asked.starts is not None:
        raise field_problem("starts", "cannot be combined with starts_in")
    if asked.starts_in is not None:
        return wall + asked.starts_in
    if asked.starts is None:
        return None
    start = asked.starts.timestamp()
    if start <= wall:
        raise field_problem("starts", "is in the past")
    if start > wall + LONGEST:
        raise field_problem("starts", "is more than ten years from now")
    return start


def _end_of(asked: OverrideBody, start: float) -> float | None:
    """When the override ends, Unix time; None where no end was given. Raises ProblemError."""
    if asked.expires_in is not None and asked.expires is not None:
        raise field_problem("expires", "cannot be combined with expires_in")
    if asked.expires_in is not None:
        return start + asked.expires_in
    if asked.expires is None:
        return None
    end = asked.expires.timestamp()
    if end <= start:
        is_delayed = asked.starts is not None or asked.starts_in is not None
        raise field_problem("expires", "is before it starts" if is_delayed else "is in the past")
    if end > start + LONGEST:
        raise field_problem(
            "expires",
            "is more than ten years from now; leave it out for an override without an end",
        )
    return end


def _log_override(action: str, override: Override, author: str) -> None:
    """Every override is in the log, also one that changes no answer."""
    facts = {
        "id": override.id,
        "target": override.target,
        "name": override.name,
        "node": override.node,
    }
    log.info(
        "%s: %s %s%s%s%s%s",
        author,
        action,
        override.target,
        f" {override.weight}" if override.weight is not None and action != "clear" else "",
        f" for {override.name}" if override.name else "",
        f" from {render_timestamp(override.starts)}" if override.starts else "",
        f" ({override.reason})" if override.reason else "",
        extra=fields(**{key: value for key, value in facts.items() if value}),
    )


def _log_readmitted(member: Readmitted, author: str) -> None:
    log.info(
        "%s: readmit %s in %s, which was %s",
        *(author, member.content, member.key, member.was),
        extra=fields(zone=member.key.zone, name=member.key.name, address=member.address),
    )


def _readmitted_row(member: Readmitted) -> ReadmittedRow:
    return ReadmittedRow(
        zone=member.key.zone,
        name=member.key.name,
        type=member.key.type,
        content=member.content,
        address=member.address,
        was=member.was,
    )
