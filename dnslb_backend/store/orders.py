"""Giving and taking back orders: what is asked, checked against the map, then kept in the book."""

import secrets
from collections.abc import Sequence
from fnmatch import fnmatchcase

from dnslb_backend.core.consequences import is_about_something, left_unserved
from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.instants import Instant
from dnslb_backend.core.names import canonical_address
from dnslb_backend.core.orders import Order
from dnslb_backend.core.overrides import Override
from dnslb_backend.core.records import RecordKey
from dnslb_backend.errors import NoOrderError, RefusedError
from dnslb_backend.store.overrides import OverrideBook

TARGET_LIMIT = 1024
MANY = 5
"""So many records are named in a refusal; the rest is counted."""


def give(book: OverrideBook, health: HealthMap, order: Order, node: str, at: Instant) -> Override:
    """Put an order into the book. Raises RefusedError, in words for the operator."""
    if order.expires is not None and order.expires <= at.wall:
        raise RefusedError("it would have expired already", "expires")
    is_ours = order.node in ("", node)
    override = Override(
        id=secrets.token_hex(16),
        target=canonical_target(order.target),
        action=order.action,
        zone=_zone_of(health, order.name) if is_ours else "",
        name=order.name,
        node=order.node,
        reason=order.reason,
        author=order.author,
        created=at.wall,
        expires=order.expires,
    )
    if is_ours:
        if not is_about_something(health, override):
            where = f" of {order.name}" if order.name else ""
            raise RefusedError(f"{override.target} is no address or destination{where}", "target")
        if not order.force:
            _refuse_to_empty(health, (*book.live(at.wall), override), (override,))
    return book.add(override)


def take_back(
    book: OverrideBook,
    health: HealthMap,
    target: str,
    at: Instant,
    *,
    name: str | None = None,
    author: str = "",
    force: bool = False,
) -> list[Override]:
    """Clear what was ordered for `target`, an id, or a glob over targets; return those orders.

    With `name` only those that are for that name alone. Raises RefusedError where there is none,
    and where it would leave a record unserved, unless forced.
    """
    wanted = canonical_target(target)
    found = [
        order
        for order in book.everywhere(at.wall)
        if (order.id == target or order.target == wanted or fnmatchcase(order.target, wanted))
        and (name is None or order.name == name)
    ]
    if not found:
        raise NoOrderError(
            f"nothing was ordered for {target}{f' under {name}' if name else ''}", "target"
        )
    if not force:
        left = [order for order in book.live(at.wall) if order not in found]
        _refuse_to_empty(health, left, found)
    book.clear([order.id for order in found], at.wall, author)
    return found


def canonical_target(text: str) -> str:
    """As orders are compared: addresses in canonical text, names without the final dot."""
    target = text.strip().lower()
    if not target or len(target) > TARGET_LIMIT:
        raise RefusedError(f"a target has 1 to {TARGET_LIMIT} characters", "target")
    return canonical_address(target) or target.removesuffix(".")


def _zone_of(health: HealthMap, name: str) -> str:
    """The zone that a record's name is in. Raises RefusedError for a name without a record."""
    if not name:
        return ""
    zone = next((key.zone for key in health.records if key.name == name), None)
    if zone is None:
        raise RefusedError(f"{name} is no balanced record", "name")
    return zone


def _refuse_to_empty(
    health: HealthMap, orders: Sequence[Override], moved: Sequence[Override]
) -> None:
    keys = left_unserved(health, orders, moved)
    if keys:
        raise RefusedError(f"it would take the last serving member of {_listed(keys)}")


def _listed(keys: Sequence[RecordKey]) -> str:
    named = ", ".join(map(str, keys[:MANY]))
    return f"{named} and {len(keys) - MANY} more" if len(keys) > MANY else named
