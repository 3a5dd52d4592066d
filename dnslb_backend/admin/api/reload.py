"""POST /api/v1/reload, and /api/v1/reload/preview: what it would change."""

from typing import Literal

from aiohttp import web
from pydantic import ConfigDict, Field

from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.problems import config_problem
from dnslb_backend.admin.http.requests import read_body
from dnslb_backend.admin.http.responses import json_bytes, json_response, render_with_rows
from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.core.health.plan_preview import RecordPreview, ZonePreview
from dnslb_backend.errors import ConfigError

Change = Literal["added", "changed", "removed"]


class EmptyBody(ApiModel):
    """No body, or an empty object."""

    model_config = ConfigDict(extra="forbid")


class ReloadedReport(ApiModel):
    """What a reload did."""

    records: int
    changed: int
    removed: int
    warnings: tuple[str, ...]


class AnswerPreview(ApiModel):
    """The answer of a record."""

    decision: DecisionKind
    contents: tuple[str, ...] = Field(description="for clients of no view with a pool in `views`")
    views: dict[str, tuple[str, ...]]


class RecordChange(ApiModel):
    """A record that a reload would change."""

    zone: str
    name: str
    type: str
    change: Change
    keys: tuple[str, ...] = Field(description="the keys of its table that would change")
    added: tuple[str, ...] = Field(description="destinations")
    removed: tuple[str, ...] = Field(description="destinations")
    answer_changed: bool
    before: AnswerPreview | None = Field(description="null: there is no such record")
    after: AnswerPreview | None = Field(description="by what is known now")


class ZoneChange(ApiModel):
    """A zone that a reload would change, its balanced records aside."""

    zone: str
    change: Change
    keys: tuple[str, ...]
    added: tuple[str, ...] = Field(description="NS and static rows")
    removed: tuple[str, ...] = Field(description="NS and static rows")


class PreviewReport(ApiModel):
    """What a reload would change."""

    records: int = Field(description="how many there would be")
    views: tuple[str, ...] = Field(description="those that are added, changed or removed")
    warnings: tuple[str, ...]
    zones: tuple[ZoneChange, ...]
    changes: tuple[RecordChange, ...]


async def reload(request: web.Request) -> web.Response:
    await read_body(request, EmptyBody)
    try:
        report = await request.app[STATE].control.reload()
    except ConfigError as error:
        raise config_problem(error) from error
    return json_response(
        ReloadedReport(
            records=report.records,
            changed=report.changed,
            removed=report.removed,
            warnings=report.warnings,
        )
    )


async def preview_reload(request: web.Request) -> web.Response:
    await read_body(request, EmptyBody)
    try:
        found = await request.app[STATE].control.preview_reload()
    except ConfigError as error:
        raise config_problem(error) from error
    report = PreviewReport(
        records=found.records,
        views=found.views,
        warnings=found.warnings,
        zones=tuple(map(_zone, found.zones)),
        changes=(),
    )
    return json_bytes(await render_with_rows(report, changes=map(_record, found.changes)))


def _zone(found: ZonePreview) -> ZoneChange:
    return ZoneChange(
        zone=found.name,
        change=found.change,
        keys=found.keys,
        added=found.added,
        removed=found.removed,
    )


def _record(found: RecordPreview) -> RecordChange:
    return RecordChange(
        zone=found.key.zone,
        name=found.key.name,
        type=found.key.type,
        change=found.change,
        keys=found.keys,
        added=found.added,
        removed=found.removed,
        answer_changed=found.is_answer_changed,
        before=_answer(found.before),
        after=_answer(found.after),
    )


def _answer(decision: Decision | None) -> AnswerPreview | None:
    if decision is None:
        return None
    return AnswerPreview(
        decision=decision.kind,
        contents=decision.contents,
        views={pool.view: pool.contents for pool in decision.pools},
    )
