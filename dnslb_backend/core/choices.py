"""Choices: the answer of a name that depends on who asks, or on chance."""

from collections.abc import Callable, Sequence

from dnslb_backend.core.clients import Client
from dnslb_backend.core.menus import Menu, Pick
from dnslb_backend.core.zones import Row

Render = Callable[[Sequence[Row], int], bytes]
"""Writes rows of one zone (its number second) in PowerDNS's form; no rows: no such name."""

MEMORY = 1024
"""Rendered answers that a choice remembers; when it has more, it starts afresh."""


class Choice:
    """The answer to one question about one name, for whoever asks.

    `rows` are the same for everybody; each menu adds what it picks. What was rendered once is
    remembered: a choice is replaced when anything about its name changes.
    """

    __slots__ = ("_empty", "_memory", "_menus", "_render", "_rows", "_zone_id")

    def __init__(
        self, rows: Sequence[Row], menus: Sequence[Menu], empty: Row, zone_id: int, render: Render
    ) -> None:
        self._rows = tuple(rows)
        self._menus = tuple(menus)
        self._empty = empty
        self._zone_id = zone_id
        self._render = render
        self._memory: dict[tuple[Pick, ...], bytes] = {}

    @property
    def needs_place(self) -> bool:
        """Whether the location of the client matters."""
        return any(menu.needs_place for menu in self._menus)

    def answer(self, client: Client, draw: int) -> bytes:
        """The answer for a client. Raises NotReadyError where it is not known."""
        picks = tuple(menu.pick(client, draw) for menu in self._menus)
        known = self._memory.get(picks)
        if known is None:
            known = self._render(self.rows(picks), self._zone_id)
            if len(self._memory) >= MEMORY:
                self._memory.clear()
            self._memory[picks] = known
        return known

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
