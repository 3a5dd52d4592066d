"""What would change if a plan replaced the one that runs; nothing changes here.

Answers are those that follow from what is known now. A reload keeps the old answer of a changed
record until its next check cycle has ended, and probes its new members before they serve.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Literal

from dnslb_backend.core.health.decision import PENDING, Decision
from dnslb_backend.core.health.evaluation import evaluate, evaluate_members
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import build_members
from dnslb_backend.core.health.overrides import ActiveOverrides
from dnslb_backend.core.health.record_state import RecordState, carry_over
from dnslb_backend.core.health.target import NEVER_PROBED
from dnslb_backend.core.health.targets import Targets
from dnslb_backend.core.model.records import Dest, Record, RecordKey
from dnslb_backend.core.model.zones import Zone

Change = Literal["added", "changed", "removed"]

CONFIGURED_AS = {
    "dests": "dest",
    "sticky_bits": "sticky",
    "ttl_range": "ttl",
}
"""Fields of a record, and the keys of the configuration that they come from."""

GROUPS = ("timing", "thresholds")
"""Fields of a record with several keys, of the names in the configuration."""

STALE_AFTER_FOLLOWS = frozenset({"interval", "timeout", "dns_timeout"})


@dataclass(frozen=True, slots=True)
class RecordPreview:
    """What would become of one record. `keys` are the keys of its table that would change.

    `added` and `removed` are destinations. `before` and `after` are decisions, None where there is
    no record.
    """

    key: RecordKey
    change: Change
    keys: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    before: Decision | None
    after: Decision | None

    @property
    def is_answer_changed(self) -> bool:
        return _answer(self.before) != _answer(self.after)


@dataclass(frozen=True, slots=True)
class ZonePreview:
    """What would become of one zone, its balanced records aside. `added` and `removed` are rows."""

    name: str
    change: Change
    keys: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


def preview_record(
    health: HealthMap,
    key: RecordKey,
    after: Record | None,
    overrides: ActiveOverrides,
    *,
    is_check_changed: bool = False,
) -> RecordPreview | None:
    """What would become of a record; None where it would not change."""
    state = health.records.get(key)
    before = None if state is None else state.record
    if before == after:
        return None
    old, new = _destinations(before), _destinations(after)
    return RecordPreview(
        key,
        "added" if before is None else "removed" if after is None else "changed",
        _keys(before, after, is_check_changed) if before and after else (),
        tuple(name for name in new if name not in old),
        tuple(name for name in old if name not in new),
        None if state is None else state.decision,
        None if after is None else _decision(health, after, state, overrides),
    )


def preview_zones(before: Mapping[str, Zone], after: Mapping[str, Zone]) -> list[ZonePreview]:
    """The zones that would be added, changed or removed."""
    found: list[ZonePreview] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        old_rows, new_rows = _rows(old), _rows(new)
        found.append(
            ZonePreview(
                name,
                "added" if old is None else "removed" if new is None else "changed",
                tuple(_changed_keys(old, new)) if old and new else (),
                tuple(row for row in new_rows if row not in old_rows),
                tuple(row for row in old_rows if row not in new_rows),
            )
        )
    return found


def _decision(
    health: HealthMap, record: Record, old: RecordState | None, overrides: ActiveOverrides
) -> Decision:
    """The decision of a record that is configured so; PENDING where nothing is known of it."""
    if old is None:
        return PENDING
    state = carry_over(record, old)
    state.members = build_members(record, state.hosts)
    targets = _known_targets(health, state, old)
    rows = evaluate_members(state, targets, overrides)
    return evaluate(state, rows, [row.candidate() for row in rows])


def _known_targets(health: HealthMap, state: RecordState, old: RecordState) -> Targets:
    """What is known of its targets, also under a check that is changed (as a reload has it)."""
    carried = {member.content: member.targets for member in old.members}
    found = Targets()
    for member in state.members:
        past = carried.get(member.content, ())
        for index, target in enumerate(member.targets):
            known = health.seen(target)
            if known is NEVER_PROBED and past:
                known = health.seen(past[min(index, len(past) - 1)])
            found[target] = known
    return found


def _destinations(record: Record | None) -> dict[str, Dest]:
    return {} if record is None else {dest.content or dest.host: dest for dest in record.dests}


def _keys(before: Record, after: Record, is_check_changed: bool) -> tuple[str, ...]:
    """The keys that differ. Fingerprints of checks differ for their rules and timing as well."""
    return (*(["check"] if is_check_changed else []), *_changed_keys(before, after))


def _changed_keys(before: object, after: object) -> Iterable[str]:
    """The keys of the configuration that two values of one dataclass differ in."""
    found: dict[str, None] = {}
    for field in fields(before):  # type: ignore[arg-type]
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old == new or field.name == "checks":
            continue
        if field.name in GROUPS:
            found.update(dict.fromkeys(_changed_keys(old, new)))
        else:
            found[CONFIGURED_AS.get(field.name, field.name)] = None
    if STALE_AFTER_FOLLOWS & found.keys():
        found.pop("stale_after", None)
    return found


def _rows(zone: Zone | None) -> dict[str, None]:
    """The static rows and name servers of a zone as text."""
    if zone is None:
        return {}
    servers = [f"{zone.name} NS {server}." for server in zone.ns]
    return dict.fromkeys([*servers, *(f"{r.qname} {r.qtype} {r.content}" for r in zone.static)])


def _answer(decision: Decision | None) -> object:
    if decision is None:
        return None
    pools = [(pool.view, pool.contents) for pool in decision.pools]
    return decision.kind, decision.contents, pools
