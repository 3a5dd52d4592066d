"""Giving and taking back orders: what is asked, checked against the map, then kept in the table."""

import secrets
from collections.abc import Sequence
from fnmatch import fnmatchcase

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.override_guard import matches_anything, records_without_service
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Override
from dnslb_backend.core.model.names import canonical_address
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.errors import ConflictError, OverrideNotFoundError
from dnslb_backend.store.shared.overrides import OverrideTable

TARGET_LIMIT = 1024
MANY = 5
"""So many records are named in a refusal; the rest is counted."""


def create(
    table: OverrideTable, health: HealthMap, request: OverrideRequest, node: str, at: Instant
) -> Override:
    """Put an order into the table. Raises ConflictError, in words for the operator."""
    if request.expires is not None and request.expires <= at.wall:
        raise ConflictError("it would have expired already", "expires")
    is_ours = request.node in ("", node)
    override = Override(
        id=secrets.token_hex(16),
        target=canonical_target(request.target),
        action=request.action,
        zone=_zone_of(health, request.name) if is_ours else "",
        name=request.name,
        node=request.node,
        reason=request.reason,
        author=request.author,
        created=at.wall,
        expires=request.expires,
    )
    if is_ours:
        if not matches_anything(health, override):
            where = f" of {request.name}" if request.name else ""
            raise ConflictError(f"no member{where} matches {override.target}", "target")
        if not request.force:
            _refuse_to_empty(health, (*table.live(at.wall), override), (override,))
    return table.add(override)


def clear(
    table: OverrideTable,
    health: HealthMap,
    target: str,
    at: Instant,
    *,
    name: str | None = None,
    author: str = "",
    force: bool = False,
) -> list[Override]:
    """Clear what was ordered for `target`, an id, or a glob over targets; return those orders.

    With `name` only those that are for that name alone. Raises ConflictError where there is none,
    and where it would leave a record unserved, unless forced.
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
        left = [override for override in table.live(at.wall) if override not in found]
        _refuse_to_empty(health, left, found)
    table.clear([override.id for override in found], at.wall, author)
    return found


def canonical_target(text: str) -> str:
    """As orders are compared: addresses in canonical text, names without the final dot."""
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


def _refuse_to_empty(
    health: HealthMap, overrides: Sequence[Override], moved: Sequence[Override]
) -> None:
    keys = records_without_service(health, overrides, moved)
    if keys:
        raise ConflictError(f"it would take the last serving member of {_listed(keys)}")


def _listed(keys: Sequence[RecordKey]) -> str:
    named = ", ".join(map(str, keys[:MANY]))
    return f"{named} and {len(keys) - MANY} more" if len(keys) > MANY else named
