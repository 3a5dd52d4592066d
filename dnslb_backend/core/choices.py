"""Choices: the answer of a name that depends on who asks, or on chance."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from dnslb_backend.core.clients import Client
from dnslb_backend.core.menus import Menu, Pick, Seat
from dnslb_backend.core.zones import Row

K = TypeVar("K")
V = TypeVar("V")

Render = Callable[[Sequence[Row], int], bytes]
"""Writes rows of one zone (its number second) in PowerDNS's form; no rows: no such name."""

MEMORY = 512
"""Answers, and clients, that a choice remembers; when it has more, it starts afresh."""


class Lottery:
    """The answers among which chance chooses, for everybody in the same seats.

    `rendered` writes the answer that a draw gives in them.
    """

    __slots__ = ("_answers", "_chances", "_rendered", "_seats")

    def __init__(
        self, seats: tuple[Seat, ...], rendered: Callable[[tuple[Seat, ...], int], bytes]
    ) -> None:
        self._seats = seats
        self._rendered = rendered
        self._chances = [seat.chance.pick for seat in seats if seat.chance is not None]
        self._answers: dict[tuple[tuple[int, ...], ...] | tuple[int, ...], bytes] = {}

    def answer(self, draw: int) -> bytes:
        """What this draw gives."""
        chances = self._chances
        chosen = chances[0](draw) if len(chances) == 1 else tuple([pick(draw) for pick in chances])
        known = self._answers.get(chosen)
        if known is None:
            if len(self._answers) >= MEMORY:
                self._answers.clear()
            known = self._answers[chosen] = self._rendered(self._seats, draw)
        return known


class Choice:
    """The answer to one question about one name, for whoever asks.

    `rows` are the same for everybody; each menu adds what it picks. What was rendered once is
    remembered, and what a client is given, or what chance gives it: a choice is replaced when
    anything about its name changes.
    """

    __slots__ = ("_clients", "_empty", "_menus", "_render", "_rows", "_seated", "_zone_id", "draws")

    def __init__(
        self, rows: Sequence[Row], menus: Sequence[Menu], empty: Row, zone_id: int, render: Render
    ) -> None:
        self._rows = tuple(rows)
        self._menus = tuple(menus)
        self._empty = empty
        self._zone_id = zone_id
        self._render = render
        self._seated: dict[tuple[Seat, ...], bytes | Lottery] = {}
        self._clients: dict[Client, bytes | Lottery] = {}
        self.draws = any(menu.draws for menu in menus)
        """Whether chance has a part in it; if not, a client is always given the same."""

    @property
    def needs_place(self) -> bool:
        """Whether the location of the client matters."""
        return any(menu.needs_place for menu in self._menus)

    def answer(self, client: Client, draw: int) -> bytes:
        """The answer for a client. Raises NotReadyError where it is not known."""
        known = self._clients.get(client)
        if known is None:
            known = self._sit(tuple([menu.seat(client) for menu in self._menus]))
            self._remember(self._clients, client, known)
        return known if isinstance(known, bytes) else known.answer(draw)

    def _sit(self, seats: tuple[Seat, ...]) -> "bytes | Lottery":
        """What everybody in these seats is given, or what chance chooses from for them."""
        known = self._seated.get(seats)
        if known is None:
            is_by_chance = any(seat.chance is not None for seat in seats)
            known = Lottery(seats, self._drawn) if is_by_chance else self._drawn(seats, 0)
            self._remember(self._seated, seats, known)
        return known

    def _drawn(self, seats: tuple[Seat, ...], draw: int) -> bytes:
        return self._render(self.rows([seat.pick(draw) for seat in seats]), self._zone_id)

    @staticmethod
    def _remember(memory: dict[K, V], key: K, value: V) -> None:
        if len(memory) >= MEMORY:
            memory.clear()
        memory[key] = value

    def rows(self, picks: Sequence[Pick]) -> list[Row]:
        """The rows of an answer; at least the one that says: the name exists.

        Where this client is given nothing of some type, what is left is for this client as
        well, since PowerDNS keeps what has no scope: all that it had been told of the name.
        """
        rows = list(self._rows)
        for menu, pick in zip(self._menus, picks, strict=True):
            rows += menu.rows(pick)
        if all(pick.chosen for pick in picks):
            return rows
        scope = max(pick.scope for pick in picks)
        return [row._replace(scope=max(row.scope, scope)) for row in rows or [self._empty]]
