"""Explanations: how an answer is built, step by step."""

from typing import Literal

from aiohttp import web
from pydantic import ConfigDict, Field

from dnslb_backend.admin.api.rows import OverrideRow, override_row
from dnslb_backend.admin.api.states import MemberState, member_state
from dnslb_backend.admin.api.votes import VotesRow, votes_row
from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.names import NAME_LIMIT, QueryType, resolve_any_name
from dnslb_backend.admin.http.problems import field_problem
from dnslb_backend.admin.http.requests import read_query
from dnslb_backend.admin.http.responses import json_bytes, render_with_rows
from dnslb_backend.core.answers.explain import (
    SUPPOSED,
    Explanation,
    MemberExplanation,
    RecordExplanation,
    mark_down,
    mark_weight,
)
from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.overrides import MAX_WEIGHT, Action, Override
from dnslb_backend.core.health.service import Service, service_of
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.labels import labels_by_key
from dnslb_backend.core.model.records import AllDown, Policy
from dnslb_backend.core.model.zones import ResourceRecord
from dnslb_backend.errors import RequestError


class ExplainQuery(ApiModel):
    """The question to explain."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        min_length=1, max_length=NAME_LIMIT, description="absolute, or relative to its zone"
    )
    type: QueryType = Field(default="ANY", description="the type that is asked for")
    client: str = Field(default="", max_length=64, description="its address or network")
    down: str = Field(
        default="",
        max_length=1024,
        description="suppose that this target is down: an address, a destination host, or a glob",
    )
    weight: str = Field(
        default="",
        max_length=1024,
        description="suppose that a target has a weight: TARGET=N",
    )


AnswerOutcome = Literal["answered", "for others", "left out"]


class AnswerRow(ApiModel):
    """One row of the answer; `scope` above 0: for clients that share so many bits of prefix."""

    name: str
    type: str
    content: str
    ttl: int
    scope: int


class MemberExplanationRow(ApiModel):
    """One candidate: its state, whether this client is given it, and why."""

    content: str
    address: str
    dest: str
    views: tuple[str, ...] = Field(description="the clients that it is for; empty: everybody else")
    labels: dict[str, str]
    state: MemberState = Field(description="in a word or two, for people")
    health: Health = Field(description="what was measured")
    effective: Health = Field(description="the override applied over it")
    stale: bool
    override: OverrideRow | None
    priority: int | None
    weight: int
    weight_override: OverrideRow | None
    served: bool = Field(description="whether some client is given it")
    picked: bool = Field(description="whether this client is given it")
    outcome: AnswerOutcome = Field(description="the two in words")
    fallback: bool
    reason: str
    votes: VotesRow | None = Field(description="which nodes say what; null: this one decides alone")


class ExplainedRecord(ApiModel):
    """One balanced record of the name."""

    zone: str
    name: str
    type: str
    policy: Policy
    max_answers: int = Field(description="as configured, or what a UDP answer carries")
    fits_udp: bool = Field(description="max_answers is what a UDP answer carries")
    prio_min_cnt: int
    all_down: AllDown
    service: Service = Field(description="what clients of the view that serves are given, in words")
    decision: DecisionKind = Field(description="for clients of the view that serves")
    threshold: int | None = Field(description="the lowest priority that serves there")
    views: tuple[str, ...] = Field(description="the client's views, in the order they are tried")
    view: str = Field(description="the one that serves; empty: none of them")
    scope: int = Field(description="bits of the client's prefix that the answer holds for")
    ttl: int
    by_chance: bool = Field(description="random: the next answer may differ")
    answer: tuple[str, ...]
    warnings: tuple[str, ...]
    members: tuple[MemberExplanationRow, ...]


class ExplainReport(ApiModel):
    """What a client is answered, and how that answer is built."""

    name: str = Field(description="the name that was asked for, or the one that it is an alias of")
    type: str
    client: str = Field(description="its network; empty: none given")
    down: str = Field(description="the target that is supposed to be down")
    weight: str = Field(description="the target and weight that are supposed")
    zone: str = Field(description="empty: not served here")
    via: tuple[str, ...] = Field(description="aliases and wildcards on the way")
    verdict: str = Field(
        description="NOERROR, NODATA, NXDOMAIN, SERVFAIL, REFUSED, or referral to NAME"
    )
    answer: tuple[AnswerRow, ...]
    records: tuple[ExplainedRecord, ...]


async def show_explanation(request: web.Request) -> web.Response:
    asked = read_query(request, ExplainQuery)
    control = request.app[STATE].control
    name = await resolve_any_name(control, asked.name, "name")
    down = mark_down(asked.down) if asked.down else ()
    weight = _supposed_weight(asked.weight) if asked.weight else ()
    try:
        explanation = control.explain(name, asked.type, asked.client, (*down, *weight))
    except RequestError as error:
        raise field_problem("client", str(error)) from error
    in_force = _in_force(explanation)
    if down and Action.DOWN not in in_force:
        raise field_problem("down", f"no member of {explanation.name} matches {asked.down}")
    if weight and Action.WEIGHT not in in_force:
        counted = 'no member of a record with policy = "weighted" or "sticky"'
        raise field_problem("weight", f"{counted} matches {asked.weight}")
    return json_bytes(await render_explanation(explanation, asked, control))


async def render_explanation(
    explanation: Explanation, asked: ExplainQuery, control: Control
) -> bytes:
    """The ExplainReport as JSON."""
    head = ExplainReport(
        name=explanation.name,
        type=explanation.question.qtype,
        client=str(explanation.question.client)
        if explanation.question.client.prefix_length
        else "",
        down=asked.down,
        weight=asked.weight,
        zone=explanation.zone,
        via=explanation.via,
        verdict=explanation.verdict,
        answer=tuple(map(_answer_row, explanation.rows)),
        records=(),
    )
    records = [await _render_record(record, control) for record in explanation.records]
    return await render_with_rows(head, records=records)


async def _render_record(record: RecordExplanation, control: Control) -> bytes:
    def votes(member: MemberExplanation) -> VotesRow | None:
        targets, require = member.status.member.targets, record.record.require
        return votes_row(targets, require, control.health_map, control.now(), with_by=True)

    members = (_member_row(member, votes(member)) for member in record.members)
    return await render_with_rows(_record_row(record), members=members)


def _outcome(member: MemberExplanation) -> AnswerOutcome:
    if member.is_picked:
        return "answered"
    return "for others" if member.status.is_served else "left out"


def _supposed_weight(text: str) -> tuple[Override, ...]:
    """The override of TARGET=N; the target may be a label. Raises ProblemError."""
    target, _, number = text.rpartition("=")
    if not target or not number.isdecimal() or int(number) > MAX_WEIGHT:
        example = "such as 192.0.2.1=20 or dc=fra=20"
        raise field_problem("weight", f"is TARGET=N, {example}, with N from 0 to {MAX_WEIGHT}")
    return mark_weight(target, int(number))


def _in_force(explanation: Explanation) -> set[Action]:
    """The actions of what was supposed that decide anything about a member."""
    return {
        override.action
        for record in explanation.records
        for row in record.members
        for override in (row.status.override, row.status.weighting)
        if override is not None and override.id == SUPPOSED
    }


def _answer_row(row: ResourceRecord) -> AnswerRow:
    return AnswerRow(
        name=row.qname, type=row.qtype, content=row.content, ttl=row.ttl, scope=row.scope
    )


def _record_row(explanation: RecordExplanation) -> ExplainedRecord:
    """The record without its members."""
    record = explanation.record
    return ExplainedRecord(
        zone=record.key.zone,
        name=record.key.name,
        type=record.key.type,
        policy=record.policy,
        max_answers=explanation.limit,
        fits_udp=_is_limited_by_udp(explanation),
        prio_min_cnt=record.prio_min_cnt,
        all_down=record.all_down,
        service=service_of(explanation.kind),
        decision=explanation.kind,
        threshold=explanation.threshold,
        views=explanation.views,
        view=explanation.view,
        scope=explanation.scope,
        ttl=explanation.ttl,
        by_chance=explanation.is_random,
        answer=tuple(row.content for row in explanation.rows),
        warnings=explanation.warnings,
        members=(),
    )


def _is_limited_by_udp(explanation: RecordExplanation) -> bool:
    """Whether an answer has fewer members than are wanted because more would not fit."""
    record = explanation.record
    if record.key.type == "CNAME":
        return False
    if record.max_answers is None:
        return record.policy is Policy.ALL
    return explanation.limit < record.max_answers


def _member_row(member: MemberExplanation, votes: VotesRow | None) -> MemberExplanationRow:
    status = member.status
    return MemberExplanationRow(
        content=status.member.content,
        address=status.member.address,
        dest=status.member.host,
        views=status.member.views,
        labels=labels_by_key(status.member.labels),
        state=member_state(status),
        health=status.measured,
        effective=status.effective,
        stale=status.state.stale,
        override=override_row(status.override) if status.override else None,
        priority=status.priority,
        weight=status.weight,
        weight_override=override_row(status.weighting) if status.weighting else None,
        served=status.is_served,
        picked=member.is_picked,
        outcome=_outcome(member),
        fallback=status.is_fallback,
        reason=member.why,
        votes=votes,
    )
