"""Selectors: which rows of a balanced record one client gets.

    client -> its views in order -> first pool that serves, else the common one -> policy -> rows

A selector belongs to one decision. It is prepared as far as possible: selecting costs one search
for the views, and one hash or random pick.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dnslb_backend.core.answers.policies import Sticky, Weighted
from dnslb_backend.core.health.decision import Decision
from dnslb_backend.core.model.clients import ClientSubnet
from dnslb_backend.core.model.records import Policy, Record
from dnslb_backend.core.model.views import ViewTable
from dnslb_backend.core.model.zones import ResourceRecord
from dnslb_backend.errors import NotReadyError

UDP_LIMIT = 1232
"""Bytes that pass every path (DNS flag day 2020); of more members, random ones are answered."""

ONE_QUERY = 1
"""The scope of an answer for one query only: PowerDNS caches nothing that has a scope."""

_HEADER = 12 + 11 + 24 + 28
"""Bytes of the header and the OPT record, with a client subnet (IPv6 in full) and a cookie."""

_RECORD = 12
_SIZES = {"A": 4, "AAAA": 16}


class Selection(NamedTuple):
    """What one client gets: indexes into the rows of a pool, and the scope of that answer."""

    pool: str
    chosen: tuple[int, ...]
    scope: int


class StableSelection(NamedTuple):
    """A selection without its random part: `picker`, where given, chooses for every query."""

    pool: str
    chosen: tuple[int, ...]
    scope: int
    picker: Weighted | None

    def pick(self, seed: int) -> Selection:
        chosen = self.chosen if self.picker is None else self.picker.pick(seed)
        return Selection(self.pool, chosen, self.scope)


@dataclass(slots=True)
class _Pool:
    rows: tuple[ResourceRecord, ...]
    picker: Weighted | Sticky | None
    eligible: tuple[ResourceRecord, ...]
    """The rows that a client can get: without those of weight 0, unless all have weight 0."""
    everything: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.everything = tuple(range(len(self.rows)))


class Selector:
    """The answers of one balanced record. Equal selectors give equal answers to equal clients."""

    __slots__ = (
        "_bits",
        "_decision",
        "_last_resort_pools",
        "_pools",
        "_record",
        "_serving",
        "_table",
        "is_static",
        "uses_seed",
    )

    def __init__(self, record: Record, decision: Decision, table: ViewTable | None) -> None:
        self._record = record
        self._decision = decision
        self._table = table if decision.pools else None
        self._bits = record.sticky_bits
        limit = answer_limit(record)
        self._pools = {"": _pool(record, decision, decision.contents, decision.weights, limit)}
        for pool in decision.pools:
            self._pools[pool.view] = _pool(record, decision, pool.contents, pool.weights, limit)
        self._serving = frozenset(pool.view for pool in decision.pools if not pool.is_last_resort)
        self._last_resort_pools = frozenset(
            pool.view for pool in decision.pools if pool.is_last_resort
        )
        self.uses_seed = any(isinstance(pool.picker, Weighted) for pool in self._pools.values())
        self.is_static = not decision.pools and self._pools[""].picker is None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Selector):
            return NotImplemented
        return (self._record, self._decision, self._table) == (
            other._record,
            other._decision,
            other._table,
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def type(self) -> str:
        return self._record.key.type

    @property
    def is_for_views(self) -> bool:
        """Whether the answer depends on the views of the client."""
        return self._table is not None

    @property
    def needs_location(self) -> bool:
        return self._table is not None and self._table.needs_location

    def is_random(self, view: str) -> bool:
        """Whether the clients of a view ("" for none) get a random pick."""
        picker = self._pools[view].picker
        return isinstance(picker, Weighted) and picker.is_open

    def all_rows(self) -> tuple[ResourceRecord, ...]:
        """Every row that some client may get, once; only the first one of CNAMEs."""
        rows = tuple(dict.fromkeys(row for pool in self._pools.values() for row in pool.eligible))
        return rows[:1] if self.type == "CNAME" else rows

    def common_rows(self) -> tuple[ResourceRecord, ...]:
        """Every row that clients in no view may get; only the first one of CNAMEs."""
        rows = self._pools[""].eligible
        return rows[:1] if self.type == "CNAME" else rows

    def select(self, client: ClientSubnet, seed: int) -> Selection:
        """What a client gets. Raises NotReadyError while health is unknown."""
        return self.select_stable(client).pick(seed)

    def select_stable(self, client: ClientSubnet) -> "StableSelection":
        """What a client gets, up to the random pick. Raises NotReadyError while it is unknown."""
        view, scope = self._view_of(client)
        if not view and self._decision.is_servfail:
            raise NotReadyError(f"{self._record.key}: health is not known yet")
        pool = self._pools[view]
        if isinstance(pool.picker, Weighted):
            scope = client.mapped_prefix + max(scope, ONE_QUERY)
            return StableSelection(view, (), scope, pool.picker)
        if isinstance(pool.picker, Sticky):
            bits = self._bits[client.version == 6]
            scope = client.mapped_prefix + max(scope, bits, ONE_QUERY)
            return StableSelection(view, pool.picker.pick(client.network(bits)), scope, None)
        return StableSelection(view, pool.everything, client.mapped_prefix + scope, None)

    def rows(self, pick: Selection) -> list[ResourceRecord]:
        rows = self._pools[pick.pool].rows
        return [rows[index]._replace(scope=pick.scope) for index in pick.chosen]

    def _view_of(self, client: ClientSubnet) -> tuple[str, int]:
        """The first view of a client that has a pool, "" for the common one, and its scope."""
        if self._table is None:
            return "", 0
        chain = self._table.match(client)
        view = _first(chain.views, self._serving) or _first(chain.views, self._last_resort_pools)
        # Not even scope 0 may be cached: PowerDNS would serve it to clients of another view.
        return view, max(chain.scope, ONE_QUERY)


def _first(wanted: Sequence[str], present: frozenset[str]) -> str:
    """The first of `wanted` that is present, "" for none."""
    if present:
        for view in wanted:
            if view in present:
                return view
    return ""


def answer_limit(record: Record) -> int:
    """The most rows of an answer: `max_answers`, one for a CNAME, and what fits into UDP."""
    if record.key.type == "CNAME":
        return 1
    name = len(record.key.name) + 2
    size = _SIZES.get(record.key.type)
    if size is None:
        longest = max((len(dest.content or "") for dest in record.dests), default=0)
        size = longest + 8
    fitting = (UDP_LIMIT - _HEADER - name - 4) // (_RECORD + size)
    wanted = record.max_answers
    if wanted is None:
        wanted = fitting if record.policy is Policy.ALL else 1
    return max(1, min(wanted, fitting))


def _pool(
    record: Record,
    decision: Decision,
    contents: Sequence[str],
    weights: Sequence[int],
    limit: int,
) -> _Pool:
    ttl = record.ttl if decision.ttl is None else decision.ttl
    rows = tuple(
        ResourceRecord(record.spelling, record.key.type, content, ttl) for content in contents
    )
    if record.policy is Policy.ALL and record.key.type == "CNAME":
        return _Pool(rows[:1], None, rows[:1])
    alike = record.policy is Policy.ALL or len(weights) != len(contents)
    counted = [1] * len(contents) if alike else list(weights)
    if len(rows) <= limit and all(weight > 0 for weight in counted):
        return _Pool(rows, None, rows)
    eligible = tuple(row for row, weight in zip(rows, counted, strict=True) if weight > 0) or rows
    if record.policy is Policy.STICKY:
        return _Pool(rows, Sticky(contents, counted, limit), eligible)
    return _Pool(rows, Weighted(counted, limit), eligible)
