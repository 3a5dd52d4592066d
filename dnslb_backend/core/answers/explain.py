"""Explaining an answer: every step from the name to the rows, and why each member is in or out.

Nothing is decided here: the health map, the selectors and the snapshot decide as for a real
lookup, and the steps are recorded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from dnslb_backend.core.answers.name_index import NameEntry
from dnslb_backend.core.answers.name_lookup import delegation_of, entry_of, zone_of
from dnslb_backend.core.answers.selectors import Selector, answer_limit
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.core.health.evaluation import evaluate_with
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.overrides import Action, ActiveOverrides, Override
from dnslb_backend.core.health.transitions import reason
from dnslb_backend.core.model.address_selection import common_prefix, overlaps
from dnslb_backend.core.model.clients import NO_CLIENT, ClientSubnet
from dnslb_backend.core.model.names import canonical_name
from dnslb_backend.core.model.records import Record
from dnslb_backend.core.model.views import ViewTable
from dnslb_backend.core.model.zones import ResourceRecord
from dnslb_backend.errors import NotReadyError

SUPPOSED = "what-if"
"""The id of hypothetical overrides."""

LONGEST_CHAIN = 8
"""Names that a chain of CNAMEs may pass through; longer ones are cut off."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to explain: `seed` is the query seed, `supposed` are overrides that are not set."""

    name: str
    qtype: str = "ANY"
    client: ClientSubnet = NO_CLIENT
    seed: int = 0
    supposed: tuple[Override, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberExplanation:
    """One member of a balanced record; `is_picked`: whether it is in this client's answer."""

    status: MemberStatus
    is_picked: bool
    why: str


@dataclass(frozen=True, slots=True)
class RecordExplanation:
    """One balanced record. `views` are the client's, in order; `view` is the one that serves it.

    `kind` and `threshold` are those of the decision for that view.
    """

    record: Record
    decision: Decision
    kind: DecisionKind
    threshold: int | None
    views: tuple[str, ...]
    view: str
    scope: int
    ttl: int
    limit: int
    is_random: bool
    rows: tuple[ResourceRecord, ...]
    members: tuple[MemberExplanation, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One name: `verdict` is what DNS says, in its own words; `via` the names it came through."""

    question: Question
    zone: str
    name: str
    via: tuple[str, ...]
    verdict: str
    rows: tuple[ResourceRecord, ...]
    records: tuple[RecordExplanation, ...]


def mark_down(target: str) -> tuple[Override, ...]:
    """The hypothetical override for "what if TARGET were down": an address, a host or a glob."""
    return (Override(SUPPOSED, target.lower(), Action.DOWN, reason="supposed by --down"),)


def mark_weight(target: str, weight: int) -> tuple[Override, ...]:
    """The hypothetical override for "what if TARGET had this weight"."""
    why = "supposed by --weight"
    return (Override(SUPPOSED, target.lower(), Action.WEIGHT, reason=why, weight=weight),)


def explain(health: HealthMap, snapshot: Snapshot, question: Question) -> Explanation:
    """What a client is answered, and why."""
    name = canonical_name(f"{question.name.removesuffix('.')}.")
    via: list[str] = []
    aliases: list[ResourceRecord] = []
    while True:
        zone = zone_of(snapshot, name)
        found = Explanation(question, zone or "", name, tuple(via), "REFUSED", tuple(aliases), ())
        if zone is None:
            return found
        if (cut := delegation_of(snapshot, name, zone)) is not None:
            return replace(found, verdict=f"referral to {cut}")
        entry = entry_of(snapshot, name, zone)
        if entry is None:
            return replace(found, verdict="NXDOMAIN")
        if entry.name != name:
            via.append(entry.name)
        alias = _alias(entry, question.qtype)
        if alias is None or len(via) >= LONGEST_CHAIN:
            return _explain_name(health, snapshot, entry, replace(found, via=tuple(via)))
        via.append(name)
        aliases.append(alias._replace(qname=name))
        name = canonical_name(alias.content)


def _explain_name(
    health: HealthMap, snapshot: Snapshot, entry: NameEntry, found: Explanation
) -> Explanation:
    """The end of the way to a name: what is `found` so far, with the rows of the entry."""
    question, wanted = found.question, found.question.qtype
    static = (*_soa(entry, snapshot), *entry.static)
    rows = [row for row in static if wanted in ("ANY", row.qtype)]
    explanations = [
        explain_record(health, record, table, question)
        for record, table in entry.records
        if wanted in ("ANY", record.key.type)
    ]
    rows += [row for found in explanations for row in found.rows]
    if any(record.decision.is_servfail and not record.rows for record in explanations):
        verdict = "SERVFAIL"
    else:
        verdict = "NOERROR" if rows else "NODATA"
    if entry.name != found.name:
        # A wildcard answers with the name that was asked for.
        rows = [row._replace(qname=found.name) for row in rows]
    return replace(found, verdict=verdict, rows=(*found.rows, *rows), records=tuple(explanations))


def _soa(entry: NameEntry, snapshot: Snapshot) -> Iterator[ResourceRecord]:
    """The SOA of a zone's apex, none elsewhere."""
    if entry.is_apex:
        zone = entry.zone
        content = zone.soa.content(snapshot.serials[zone.name])
        yield ResourceRecord(zone.spelling, "SOA", content, zone.soa.ttl)


def explain_record(
    health: HealthMap, record: Record, table: ViewTable | None, question: Question
) -> RecordExplanation:
    """What a client gets of one balanced record, and why."""
    state = health.records[record.key]
    statuses, decision = state.rows, state.decision
    if question.supposed:
        supposed = ActiveOverrides((*health.overrides, *question.supposed))
        statuses, decision = evaluate_with(state, health.targets, supposed)
    selector = Selector(record, decision, table)
    view, scope, rows, ttl = "", 0, [], record.ttl if decision.ttl is None else decision.ttl
    if not (selector.is_static and decision.is_servfail):
        try:
            pick = selector.select(question.client, question.seed)
            view, scope, rows = pick.pool, pick.scope, selector.rows(pick)
        except NotReadyError:
            rows = []
    kind, threshold = _decided_for(view, record, decision)
    chain = table.match(question.client).views if table is not None else ()
    picked = {row.content for row in rows}
    return RecordExplanation(
        record=record,
        decision=decision,
        kind=kind,
        threshold=threshold,
        views=chain,
        view=view,
        scope=scope,
        ttl=ttl,
        limit=answer_limit(record),
        is_random=selector.is_random(view),
        rows=tuple(rows),
        members=tuple(
            MemberExplanation(
                status,
                status.member.content in picked,
                _why(status, decision, view, is_picked=status.member.content in picked),
            )
            for status in statuses
        ),
        warnings=tuple(_warnings(record, decision, picked, question)),
    )


def _decided_for(view: str, record: Record, decision: Decision) -> tuple[DecisionKind, int | None]:
    """The decision for the clients of a view ("" for none), and the lowest priority that serves."""
    pool = decision.pool(view)
    if pool is None:
        return decision.kind, decision.threshold
    if pool.is_last_resort:
        return DecisionKind(record.all_down), pool.threshold
    return DecisionKind.PANIC if pool.is_panic else DecisionKind.SERVE, pool.threshold


def _why(status: MemberStatus, decision: Decision, view: str, *, is_picked: bool) -> str:
    """Why a member is in this client's answer, or is not."""
    views = status.member.views
    if view and view not in views:
        return f"not in view {view}"
    if not view and views:
        return f"only for {', '.join(views)}"
    if status.is_served and not is_picked:
        return "eligible, but the policy picked others"
    if status.is_served:
        return reason(status, decision) or "serves"
    return reason(status, decision) or str(status.effective)


def _warnings(
    record: Record, decision: Decision, picked: set[str], question: Question
) -> Iterable[str]:
    if record.key.type in ("A", "AAAA") and len(picked) > 1 and question.client.prefix_length:
        block = common_prefix(sorted(picked))
        if block is not None and overlaps(block, str(question.client)):
            yield (
                f"the client is in {block}, the smallest prefix that holds all of these servers: "
                "it may always pick the same one (RFC 6724, rule 9)"
            )
    if decision.is_servfail:
        yield "no member's health is known: the answer is SERVFAIL, resolvers try the next server"


def _alias(entry: NameEntry, qtype: str) -> ResourceRecord | None:
    """The static CNAME of a name, unless the question is for the CNAME itself."""
    if qtype in ("CNAME", "ANY"):
        return None
    return next((row for row in entry.static if row.qtype == "CNAME"), None)
