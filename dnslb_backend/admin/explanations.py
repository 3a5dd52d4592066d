"""Explanations: how the answer to a question comes about, step by step."""

from aiohttp import web
from pydantic import ConfigDict, Field

from dnslb_backend.admin.document import Document
from dnslb_backend.admin.endpoint import STATE
from dnslb_backend.admin.intake import read_query
from dnslb_backend.admin.naming import NAME_LIMIT, QueryType
from dnslb_backend.admin.problems import wrong
from dnslb_backend.admin.replies import json_bytes
from dnslb_backend.admin.rows import OverrideRow, override_row
from dnslb_backend.admin.slices import render_rows
from dnslb_backend.core.decision import Kind
from dnslb_backend.core.explain import Contender, Explanation, RecordExplanation
from dnslb_backend.core.health import Health
from dnslb_backend.core.records import AllDown, Policy
from dnslb_backend.core.zones import Row
from dnslb_backend.errors import NameFormatError, RequestError


class ExplainQuery(Document):
    """The question to explain."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        min_length=1, max_length=NAME_LIMIT, description="absolute, or relative to its zone"
    )
    type: QueryType = Field(default="ANY", description="what is asked for")
    client: str = Field(default="", max_length=64, description="its address or network, if any")
    down: str = Field(
        default="",
        max_length=1024,
        description="what if this target were down: an address, a destination host, or a glob",
    )


class AnswerRow(Document):
    """One row of the answer; `scope` above 0: for clients that share so many bits of prefix."""

    name: str
    type: str
    content: str
    ttl: int
    scope: int


class ContenderRow(Document):
    """One candidate: where it stands, whether this client is given it, and why."""

    content: str
    address: str
    dest: str
    views: tuple[str, ...] = Field(description="the clients that it is for; empty: everybody else")
    health: Health = Field(description="what was measured")
    effective: Health = Field(description="the override applied over it")
    stale: bool
    override: OverrideRow | None
    priority: int | None
    weight: int
    served: bool = Field(description="whether some client is given it")
    picked: bool = Field(description="whether this client is given it")
    fallback: bool
    reason: str


class ExplainedRecord(Document):
    """One balanced record of the name."""

    zone: str
    name: str
    type: str
    policy: Policy
    max_answers: int = Field(description="as configured, or what a UDP answer carries")
    prio_min_cnt: int
    all_down: AllDown
    decision: Kind = Field(description="for clients of the view that serves")
    threshold: int | None = Field(description="the lowest priority that serves there")
    views: tuple[str, ...] = Field(description="the client's views, in the order they are tried")
    view: str = Field(description="the one that serves; empty: none of them")
    scope: int = Field(description="bits of the client's prefix that the answer holds for")
    ttl: int
    by_chance: bool = Field(description="the next answer may be another one")
    answer: tuple[str, ...]
    warnings: tuple[str, ...]
    members: tuple[ContenderRow, ...]


class ExplainReport(Document):
    """What a client is answered, and how that comes about."""

    name: str = Field(description="the name that was asked for, or that it led to")
    type: str
    client: str = Field(description="its network; empty: nobody in particular")
    down: str = Field(description="what is supposed to be down")
    zone: str = Field(description="empty: none of ours")
    looked_in: tuple[str, ...] = Field(
        description="the zones in which a name without a final dot was looked for, where it is in "
        "none of them or in several; it was taken as it stands then"
    )
    via: tuple[str, ...] = Field(description="aliases and wildcards on the way")
    verdict: str = Field(description="NOERROR, NODATA, NXDOMAIN, SERVFAIL, REFUSED, referral to ..")
    answer: tuple[AnswerRow, ...]
    records: tuple[ExplainedRecord, ...]


async def show_explanation(request: web.Request) -> web.Response:
    asked = read_query(request, ExplainQuery)
    control = request.app[STATE].control
    try:
        told = control.explain(asked.name, asked.type.upper(), asked.client, asked.down)
    except NameFormatError as error:
        raise wrong("name", str(error)) from error
    except RequestError as error:
        raise wrong("client", str(error)) from error
    if told.question.down and not _is_about(told):
        raise wrong("down", f"{asked.down} is no address or destination of {told.name}")
    return json_bytes(await render_explanation(told, asked))


async def render_explanation(told: Explanation, asked: ExplainQuery) -> bytes:
    """The ExplainReport as JSON."""
    head = ExplainReport(
        name=told.name,
        type=told.question.qtype,
        client=str(told.question.client) if told.question.client.known else "",
        down=asked.down,
        zone=told.zone,
        looked_in=told.looked_in,
        via=told.via,
        verdict=told.verdict,
        answer=tuple(map(_answer_row, told.rows)),
        records=(),
    )
    records = [await _render_record(record) for record in told.records]
    return head.model_dump_json().encode().removesuffix(b"]}") + b",".join(records) + b"]}"


async def _render_record(record: RecordExplanation) -> bytes:
    members = await render_rows(map(_contender_row, record.contenders))
    head = _record_row(record).model_dump_json().encode()
    return head.removesuffix(b"]}") + members + b"]}"


def _is_about(told: Explanation) -> bool:
    supposed = {order.id for order in told.question.down}
    return any(
        row.status.override is not None and row.status.override.id in supposed
        for record in told.records
        for row in record.contenders
    )


def _answer_row(row: Row) -> AnswerRow:
    return AnswerRow(
        name=row.qname, type=row.qtype, content=row.content, ttl=row.ttl, scope=row.scope
    )


def _record_row(told: RecordExplanation) -> ExplainedRecord:
    """The record without its members."""
    record = told.record
    return ExplainedRecord(
        zone=record.key.zone,
        name=record.key.name,
        type=record.key.type,
        policy=record.policy,
        max_answers=told.limit,
        prio_min_cnt=record.prio_min_cnt,
        all_down=record.all_down,
        decision=told.kind,
        threshold=told.threshold,
        views=told.views,
        view=told.view,
        scope=told.scope,
        ttl=told.ttl,
        by_chance=told.is_by_chance,
        answer=tuple(row.content for row in told.rows),
        warnings=told.warnings,
        members=(),
    )


def _contender_row(contender: Contender) -> ContenderRow:
    status = contender.status
    return ContenderRow(
        content=status.member.content,
        address=status.member.address,
        dest=status.member.host,
        views=status.member.views,
        health=status.measured,
        effective=status.effective,
        stale=status.state.stale,
        override=override_row(status.override) if status.override else None,
        priority=status.priority,
        weight=status.weight,
        served=status.is_served,
        picked=contender.is_picked,
        fallback=status.is_fallback,
        reason=contender.why,
    )
