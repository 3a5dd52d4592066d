"""Setting and clearing overrides: requests are checked against the health map first."""

import secrets
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.override_guard import loses_service
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Action, ActiveOverrides, Override
from dnslb_backend.core.model.names import canonical_address
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.errors import ConflictError, OverrideNotFoundError
from dnslb_backend.slices import in_slices
from dnslb_backend.store.shared.overrides import OverrideTable

TARGET_LIMIT = 1024
MOST_NAMED = 5
"""So many records are named in a refusal; the others are counted."""


async def create(
    table: OverrideTable, health: HealthMap, request: OverrideRequest, node: str, at: Instant
) -> Override:
    """Add an override to the table, in place of the same one by the same author: one at a time, for
    the next is checked against it. Raises ConflictError, in words for the operator.
    """
    _check_times(request, at.wall)
    is_for_this_node = request.node in ("", node)
    override = Override(
        id=secrets.token_hex(16),
        target=canonical_target(request.target),
        action=request.action,
        zone=_zone_of(health, request.name) if is_for_this_node else "",
        name=request.name,
        node=request.node,
        reason=request.reason,
        author=request.author,
        created=at.wall,
        expires=request.expires,
        starts=request.starts,
        weight=request.weight,
    )
    if is_for_this_node:
        covered = health.covered([override])
        if not covered:
            where = f" of {request.name}" if request.name else ""
            raise ConflictError(f"no member{where} matches {override.target}", "target")
        _refuse_without_effect(health, override, covered)
        if not request.force:
            others = [other for other in table.here(at.wall) if other.overlaps(override)]
            await _refuse_to_empty(health, others, (*others, override), covered)
    repeated = [
        other.id for other in table.everywhere(at.wall) if _is_repeated(other, override, at)
    ]
    created = table.add(override)
    table.clear(repeated, at.wall, request.author)
    return created


def _is_repeated(old: Override, new: Override, at: Instant) -> bool:
    """Whether both are in force, for the same by the same author: the latter says what is meant."""
    scopes = [(o.target, o.action, o.zone, o.name, o.node, o.author) for o in (old, new)]
    return scopes[0] == scopes[1] and old.is_live(at.wall) and new.starts is None


async def clear(
    table: OverrideTable,
    health: HealthMap,
    target: str,
    at: Instant,
    *,
    name: str | None = None,
    author: str = "",
    force: bool = False,
) -> list[Override]:
    """Clear the overrides for `target`, an id or a glob over targets; returns them.

    With `name` only those that are for that name alone. Raises OverrideNotFoundError where there is
    none, and ConflictError where it would leave a record without a serving member, unless forced.
    """
    wanted = canonical_target(target)
    found = [
        override
        for override in table.everywhere(at.wall)
        if (
            override.id == target
            or override.target == wanted
            or fnmatchcase(override.target, wanted)
        )
        and (name is None or override.name == name)
    ]
    if not found:
        raise OverrideNotFoundError(
            f"no override for {target}{f' in {name}' if name else ''}", "target"
        )
    if not force:
        live = table.live(at.wall)
        left = [override for override in live if override not in found]
        await _refuse_to_empty(health, live, left, health.covered(found))
    table.clear([override.id for override in found], at.wall, author)
    return found


def canonical_target(text: str) -> str:
    """As overrides are compared: addresses in canonical text, names without the final dot.

    Raises ConflictError for a text that is no target.
    """
    target = text.strip().lower()
    if not target or len(target) > TARGET_LIMIT:
        raise ConflictError(f"a target has 1 to {TARGET_LIMIT} characters", "target")
    return canonical_address(target) or target.removesuffix(".")


def _zone_of(health: HealthMap, name: str) -> str:
    """The zone that a record's name is in. Raises ConflictError for a name without a record."""
    if not name:
        return ""
    zone = next((key.zone for key in health.records if key.name == name), None)
    if zone is None:
        raise ConflictError(f"no such record: {name}", "name")
    return zone


def _check_times(request: OverrideRequest, wall: float) -> None:
    if request.starts is not None and request.starts <= wall:
        raise ConflictError("it would begin in the past", "starts")
    if request.expires is not None and request.expires <= (request.starts or wall):
        error = (
            "it would have expired already"
            if request.starts is None
            else ("it would expire before it begins")
        )
        raise ConflictError(error, "expires")


def _refuse_without_effect(
    health: HealthMap, override: Override, covered: Collection[RecordKey]
) -> None:
    if override.action is Action.WEIGHT and not any(
        health.records[key].record.has_weights for key in covered
    ):
        raise ConflictError(
            'weights count only with policy = "weighted" or "sticky"; policy is "all" in'
            f" {_listed(sorted(covered))}",
            "target",
        )


async def _refuse_to_empty(
    health: HealthMap,
    before: Sequence[Override],
    after: Sequence[Override],
    covered: Collection[RecordKey],
) -> None:
    """One that is pending is judged by the health of now."""
    was, will_be = ActiveOverrides(before), ActiveOverrides(after)
    keys = []
    async for key in in_slices(covered):
        if key not in health.records:
            continue  # A reload came in between.
        if loses_service(health, key, will_be) and not loses_service(health, key, was):
            keys.append(key)
    if keys:
        raise ConflictError(
            f"no serving member would be left in {_listed(sorted(keys))}; use force to do it anyway"
        )


def _listed(keys: Sequence[RecordKey]) -> str:
    named = ", ".join(map(str, keys[:MOST_NAMED]))
    return f"{named} and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else named
