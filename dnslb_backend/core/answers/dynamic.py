"""Answers that depend on the client or are random, rendered once and cached."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from dnslb_backend.core.answers.selectors import Selection, Selector, StableSelection
from dnslb_backend.core.model.clients import ClientSubnet
from dnslb_backend.core.model.zones import ResourceRecord

K = TypeVar("K")
V = TypeVar("V")

Render = Callable[[Sequence[ResourceRecord], int], bytes]
"""Renders rows of the zone with this id as PowerDNS reads them; no rows: no such name."""

CACHE_SIZE = 512
"""Entries in each cache of a dynamic answer; a full cache is cleared."""


class RandomAnswer:
    """The random answers of one combination of stable selections, shared by its clients.

    `render` renders the answer that a query seed selects.
    """

    __slots__ = ("_answers", "_pickers", "_render", "_selections")

    def __init__(
        self,
        selections: tuple[StableSelection, ...],
        render: Callable[[tuple[StableSelection, ...], int], bytes],
    ) -> None:
        self._selections = selections
        self._render = render
        self._pickers = [
            selection.picker.pick for selection in selections if selection.picker is not None
        ]
        self._answers: dict[tuple[tuple[int, ...], ...] | tuple[int, ...], bytes] = {}

    def answer(self, seed: int) -> bytes:
        """The answer for this query seed."""
        pickers = self._pickers
        chosen = pickers[0](seed) if len(pickers) == 1 else tuple([pick(seed) for pick in pickers])
        known = self._answers.get(chosen)
        if known is None:
            if len(self._answers) >= CACHE_SIZE:
                self._answers.clear()
            known = self._answers[chosen] = self._render(self._selections, seed)
        return known


class DynamicAnswer:
    """The answer to one question about one name, for every client.

    `rows` are the same for all clients; each selector adds what it picks. Rendered answers are
    cached, by client and by what the selectors picked. The caches cannot go stale: a change of
    the name's rows or decisions makes another DynamicAnswer.
    """

    __slots__ = (
        "_clients",
        "_empty",
        "_render",
        "_rows",
        "_selectors",
        "_stable_answers",
        "_zone_id",
        "is_random",
    )

    def __init__(
        self,
        rows: Sequence[ResourceRecord],
        selectors: Sequence[Selector],
        empty: ResourceRecord,
        zone_id: int,
        render: Render,
    ) -> None:
        self._rows = tuple(rows)
        self._selectors = tuple(selectors)
        self._empty = empty
        self._zone_id = zone_id
        self._render = render
        self._stable_answers: dict[tuple[StableSelection, ...], bytes | RandomAnswer] = {}
        self._clients: dict[ClientSubnet, bytes | RandomAnswer] = {}
        self.is_random = any(selector.uses_seed for selector in selectors)
        """Whether any client may get a random answer; if not, `answer` ignores the seed."""

    @property
    def needs_location(self) -> bool:
        """Whether the answer may depend on the client's location."""
        return any(selector.needs_location for selector in self._selectors)

    def answer(self, client: ClientSubnet, seed: int) -> bytes:
        """The answer for a client. Raises NotReadyError while health is unknown."""
        known = self._clients.get(client)
        if known is None:
            known = self._select_stable(
                tuple([selector.select_stable(client) for selector in self._selectors])
            )
            self._store(self._clients, client, known)
        return known if isinstance(known, bytes) else known.answer(seed)

    def _select_stable(self, selections: tuple[StableSelection, ...]) -> "bytes | RandomAnswer":
        """The answer of these selections, or the random answers where one of them is random."""
        known = self._stable_answers.get(selections)
        if known is None:
            is_random = any(selection.picker is not None for selection in selections)
            known = (
                RandomAnswer(selections, self._rendered)
                if is_random
                else self._rendered(selections, 0)
            )
            self._store(self._stable_answers, selections, known)
        return known

    def _rendered(self, selections: tuple[StableSelection, ...], seed: int) -> bytes:
        return self._render(
            self.rows([selection.pick(seed) for selection in selections]), self._zone_id
        )

    @staticmethod
    def _store(cache: dict[K, V], key: K, value: V) -> None:
        if len(cache) >= CACHE_SIZE:
            cache.clear()
        cache[key] = value

    def rows(self, picks: Sequence[Selection]) -> list[ResourceRecord]:
        """The rows of an answer; at least one, which may only say that the name exists.

        Where the client gets no row of some type, the other rows are scoped to it as well:
        PowerDNS would cache unscoped ones for all clients, as everything the name has.
        """
        rows = list(self._rows)
        for selector, pick in zip(self._selectors, picks, strict=True):
            rows += selector.rows(pick)
        if all(pick.chosen for pick in picks):
            return rows
        scope = max(pick.scope for pick in picks)
        return [row._replace(scope=max(row.scope, scope)) for row in rows or [self._empty]]
