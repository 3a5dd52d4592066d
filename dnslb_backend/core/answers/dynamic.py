"""Choices: the answer of a name that depends on who asks, or on chance."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from dnslb_backend.core.answers.selectors import Selection, Selector, StableSelection
from dnslb_backend.core.model.clients import ClientSubnet
from dnslb_backend.core.model.zones import ResourceRecord

K = TypeVar("K")
V = TypeVar("V")

Render = Callable[[Sequence[ResourceRecord], int], bytes]
"""Writes rows of one zone (its number second) in PowerDNS's form; no rows: no such name."""

CACHE_SIZE = 512
"""Answers, and clients, that a choice remembers; when it has more, it starts afresh."""


class RandomAnswer:
    """The answers among which chance chooses, for everybody in the same seats.

    `rendered` writes the answer that a draw gives in them.
    """

    __slots__ = ("_answers", "_chances", "_rendered", "_selections")

    def __init__(
        self,
        selections: tuple[StableSelection, ...],
        rendered: Callable[[tuple[StableSelection, ...], int], bytes],
    ) -> None:
        self._selections = selections
        self._rendered = rendered
        self._chances = [
            selection.chance.pick for selection in selections if selection.chance is not None
        ]
        self._answers: dict[tuple[tuple[int, ...], ...] | tuple[int, ...], bytes] = {}

    def answer(self, draw: int) -> bytes:
        """What this draw gives."""
        weights_by_selection = self._chances
        chosen = (
            weights_by_selection[0](draw)
            if len(weights_by_selection) == 1
            else tuple([pick(draw) for pick in weights_by_selection])
        )
        known = self._answers.get(chosen)
        if known is None:
            if len(self._answers) >= CACHE_SIZE:
                self._answers.clear()
            known = self._answers[chosen] = self._rendered(self._selections, draw)
        return known


class DynamicAnswer:
    """The answer to one question about one name, for whoever asks.

    `rows` are the same for everybody; each selector adds what it picks. What was rendered once is
    remembered, and what a client is given, or what chance gives it: a choice is replaced when
    anything about its name changes.
    """

    __slots__ = (
        "_clients",
        "_empty",
        "_render",
        "_rows",
        "_selectors",
        "_stable_answers",
        "_zone_id",
        "draws",
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
        self.draws = any(selector.draws for selector in selectors)
        """Whether chance has a part in it; if not, a client is always given the same."""

    @property
    def needs_location(self) -> bool:
        """Whether the location of the client matters."""
        return any(selector.needs_location for selector in self._selectors)

    def answer(self, client: ClientSubnet, draw: int) -> bytes:
        """The answer for a client. Raises NotReadyError where it is not known."""
        known = self._clients.get(client)
        if known is None:
            known = self._select_stable(
                tuple([selector.select_stable(client) for selector in self._selectors])
            )
            self._remember(self._clients, client, known)
        return known if isinstance(known, bytes) else known.answer(draw)

    def _select_stable(self, selections: tuple[StableSelection, ...]) -> "bytes | RandomAnswer":
        """What everybody in these seats is given, or what chance chooses from for them."""
        known = self._stable_answers.get(selections)
        if known is None:
            is_by_chance = any(selection.chance is not None for selection in selections)
            known = (
                RandomAnswer(selections, self._random_answer)
                if is_by_chance
                else self._random_answer(selections, 0)
            )
            self._remember(self._stable_answers, selections, known)
        return known

    def _random_answer(self, selections: tuple[StableSelection, ...], draw: int) -> bytes:
        return self._render(
            self.rows([selection.pick(draw) for selection in selections]), self._zone_id
        )

    @staticmethod
    def _remember(memory: dict[K, V], key: K, value: V) -> None:
        if len(memory) >= CACHE_SIZE:
            memory.clear()
        memory[key] = value

    def rows(self, picks: Sequence[Selection]) -> list[ResourceRecord]:
        """The rows of an answer; at least the one that says: the name exists.

        Where this client is given nothing of some type, what is left is for this client as
        well, since PowerDNS keeps what has no scope: all that it had been told of the name.
        """
        rows = list(self._rows)
        for selector, pick in zip(self._selectors, picks, strict=True):
            rows += selector.rows(pick)
        if all(pick.chosen for pick in picks):
            return rows
        scope = max(pick.scope for pick in picks)
        return [row._replace(scope=max(row.scope, scope)) for row in rows or [self._empty]]
