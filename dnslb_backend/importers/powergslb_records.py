"""The answers of one name and type of PowerGSLB as a balanced record.

| PowerGSLB | here |
|---|---|
| round-robin, or nothing; weight | policy all; prio |
| weighted-random, lbmethod wrr; weight | policy weighted; weight |
| sticky-hash, persistence; weight | policy sticky; prio |
| all are down: all are up (from 2.2) | all_down = "all", or the highest tier as fallback |
| fallback (before) | the same, for the answers that have it |
| no check, in the lowest tier | fallback |
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dnslb_backend.importers.draft import (
    NAME_TYPES,
    UNASKED,
    BalancedRecord,
    Note,
    Table,
    record_keys,
)
from dnslb_backend.importers.powergslb_checks import TIMES, MonitorCheck, NoEqualError
from dnslb_backend.importers.powergslb_tables import GslbAnswer
from dnslb_backend.importers.powergslb_views import Rule, views_of

LeftOut = list[tuple[GslbAnswer, str]]

ROUND_ROBIN_ANSWERS = 8
STICKY_PREFIXES = {"ipv4": 24, "ipv6": 64}


@dataclass(frozen=True, slots=True)
class GslbMember:
    """An answer, read: its content as in a zone file, its check, and whom it is for."""

    answer: GslbAnswer
    content: str
    check: MonitorCheck
    rule: Rule


def balanced_record(
    members: list[GslbMember], place: str
) -> tuple[BalancedRecord, list[Rule], LeftOut]:
    """The record, the views that it names, and what of it has no equal. Raises NoEqualError."""
    first = members[0].answer
    keys, is_weighted = _selection(first)
    left_out: LeftOut = []
    members, unchecked = _of_one_check(members, left_out, can_fall_back=not is_weighted)
    check = members[0].check
    rules = list({member.rule.name: member.rule for member in members}.values())
    dests = _dests(members, rules, is_weighted, left_out)
    keys |= {key: value for key, value in check.times.items() if TIMES.get(key) != value}
    keys |= _when_all_are_down(members, unchecked, len(rules))
    record = BalancedRecord(
        place,
        first.name,
        first.type,
        record_keys(first.ttl, dests, {**keys, "check": check.check}),
        first.original,
    )
    remarks = [*check.remarks, *_remarks_on_views(rules)]
    title = f"{first.name} {first.type} in {first.domain}"
    record.notes = [Note(place, f"{title}: {text}", first.monitor) for text in remarks]
    return record, [] if len(rules) == 1 and rules[0].is_for_all else _used(rules, dests), left_out


def gives_all(answer: GslbAnswer, count: int) -> bool:
    """Whether the policy of a name gives all of `count` answers of one weight to every client."""
    if count == 1:
        return True
    try:
        keys, _ = _selection(answer)
    except NoEqualError:
        return False
    most = keys.get("max_answers", count)
    return "policy" not in keys and isinstance(most, int) and most >= count


def _used(rules: list[Rule], dests: list[Table]) -> list[Rule]:
    named = {name for dest in dests for name in dest.get("views", ())}
    return [rule for rule in rules if rule.name in named]


def _of_one_check(
    members: list[GslbMember], left_out: LeftOut, *, can_fall_back: bool
) -> tuple[list[GslbMember], list[GslbMember]]:
    """Those that are checked as the first one is that is checked, and those to fall back on.

    A record has one check. An answer without one, below all others, is served when these are down.
    """
    checked = [member for member in members if not member.check.is_static]
    if not checked:
        return members, []
    check = checked[0].check
    same = [m for m in checked if (m.check.check, m.check.times) == (check.check, check.times)]
    lowest = min(member.answer.weight for member in same)
    unchecked: list[GslbMember] = []
    for member in members:
        if member.check.is_static:
            is_last = can_fall_back and member.answer.weight < lowest and member.rule.is_for_all
            if is_last:
                unchecked.append(member)
            else:
                left_out.append((member.answer, "has no check, which others of its name have"))
        elif member not in same:
            left_out.append((member.answer, "has another check than the others of its name"))
    return same, unchecked


def _dests(
    members: list[GslbMember], rules: list[Rule], is_weighted: bool, left_out: LeftOut
) -> list[Table]:
    weights = {member.answer.weight for member in members}
    # Only priorities above 0 serve.
    shift = 0 if is_weighted else max(1 - min(weights), 0)
    key = "weight" if is_weighted else "prio"
    found: dict[str, Table] = {}
    for member in members:
        dest = _target(member)
        if len(weights) > 1:
            dest[key] = member.answer.weight + shift
        views = views_of(member.rule, rules)
        known = found.setdefault(member.content, {**dest, **({"views": views} if views else {})})
        if {**known, "views": 0} != {**dest, "views": 0}:
            left_out.append((member.answer, "has another weight in another view"))
        elif views and "views" in known:
            known["views"] = list(dict.fromkeys([*known["views"], *views]))
        else:
            known.pop("views", None)
    return list(found.values())


def _target(member: GslbMember) -> Table:
    """What is served, and what is probed where that is something else."""
    check, answer = member.check, member.answer
    if answer.type not in NAME_TYPES:
        probed = {"check_address": check.address} if check.address else {}
        return {"host": member.content, **probed}
    if not check.is_static and not check.address:
        raise NoEqualError("the monitor asks the content, which is no address")
    host = member.content.split()[-1]
    content = {} if answer.type == "CNAME" else {"content": member.content}
    return {"host": host, **content, "check_address": check.address or UNASKED}


def _when_all_are_down(members: list[GslbMember], unchecked: list[GslbMember], views: int) -> Table:
    """What is served then; a check that always passes needs nothing."""
    if members[0].check.is_static:
        return {}
    if unchecked:
        highest = max(member.answer.weight for member in unchecked)
        return {"fallback": [m.content for m in unchecked if m.answer.weight == highest]}
    has_policy = bool(members[0].answer.policy)
    revived = [member for member in members if has_policy or member.answer.fallback]
    if not revived:
        return {}
    highest = max(member.answer.weight for member in revived)
    top = [member for member in revived if member.answer.weight == highest]
    if len(top) == len(members) or views > 1 or _picks_by_weight(members[0].answer):
        return {"all_down": "all"}
    return {"fallback": [member.content for member in top]}


def _picks_by_weight(answer: GslbAnswer) -> bool:
    return _selection(answer)[1]


def _remarks_on_views(rules: Sequence[Rule]) -> list[str]:
    """A view of places hides what is for everybody while one of its members is up."""
    if not any(rule.is_for_all for rule in rules):
        return []
    return [
        f"clients of view {rule.name!r} are given what is for everybody only while all of "
        "their own is down"
        for rule in rules
        if not rule.is_for_all and any(other.needs_places for other in rules)
    ]


def _selection(answer: GslbAnswer) -> tuple[Table, bool]:
    """The keys of the policy, and whether `weight` is a share. Raises NoEqualError."""
    if answer.policy:
        return _routing(answer.policy)
    if answer.method not in ("", "p", "wrr", "persistence"):
        raise NoEqualError(f"the method {answer.method!r} has no equal")
    if answer.method == "wrr":
        return {"policy": "weighted"}, True
    if answer.persistence:
        bits = {"ipv4": max(32 - answer.persistence, 0), "ipv6": max(128 - answer.persistence, 0)}
        return {"policy": "sticky", "sticky": bits}, False
    return {}, False


def _routing(policy: str) -> tuple[Table, bool]:
    try:
        written = json.loads(policy)
    except (ValueError, RecursionError) as error:
        raise NoEqualError(f"the routing policy is no JSON: {error}") from error
    kind = written.get("type") if isinstance(written, dict) else None
    if not isinstance(kind, str) or kind not in ROUTINGS:
        raise NoEqualError(f"a routing policy of type {kind!r} has no equal")
    return ROUTINGS[kind](written)


def _round_robin(written: Mapping[str, Any]) -> tuple[Table, bool]:
    return {"max_answers": written.get("max_answers", ROUND_ROBIN_ANSWERS)}, False


def _weighted_random(written: Mapping[str, Any]) -> tuple[Table, bool]:
    return {"policy": "weighted", **_answers(written)}, True


def _sticky_hash(written: Mapping[str, Any]) -> tuple[Table, bool]:
    bits = {key: written.get(f"{key}_prefix", bits) for key, bits in STICKY_PREFIXES.items()}
    return {"policy": "sticky", "sticky": bits, **_answers(written)}, False


def _answers(written: Mapping[str, Any]) -> Table:
    count = written.get("max_answers", 1)
    return {} if count == 1 else {"max_answers": count}


ROUTINGS: Mapping[str, Callable[[Mapping[str, Any]], tuple[Table, bool]]] = {
    "round-robin": _round_robin,
    "weighted-random": _weighted_random,
    "sticky-hash": _sticky_hash,
}
