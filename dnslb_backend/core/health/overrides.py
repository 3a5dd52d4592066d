"""Operator overrides, kept apart from measured health."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType

from dnslb_backend.core.model.labels import is_label


class Action(StrEnum):
    DRAIN = "drain"
    """Not served any more; checks go on, and it counts as no failure."""
    DOWN = "down"
    """Treated as if its checks failed."""
    UP = "up"
    """Treated as if its checks passed."""
    WEIGHT = "weight"
    """Picked in proportion to the override's weight; one of the others may apply as well."""


MAX_WEIGHT = 65535


@dataclass(frozen=True, slots=True)
class Override:
    """One override: `action` for every member that `target` matches.

    `target` is an address, a destination host, a label, or a glob, in lower case. `zone` and
    `name` are canonical and narrow it to one name; empty means every record. `node` empty
    means every node. `weight` is that of Action.WEIGHT, None for others. Times are Unix time;
    `starts` None is with `created`, `expires` None is until cleared.
    """

    id: str
    target: str
    action: Action
    zone: str = ""
    name: str = ""
    node: str = ""
    reason: str = ""
    author: str = ""
    created: float = 0.0
    expires: float | None = None
    starts: float | None = None
    weight: int | None = None

    @property
    def begins(self) -> float:
        return self.created if self.starts is None else self.starts

    @property
    def is_glob(self) -> bool:
        return any(sign in self.target for sign in "*?[")

    def matches(self, name: str, *aliases: str) -> bool:
        """Whether this override matches a member of the record `name` with these aliases."""
        if self.name and self.name != name:
            return False
        return self.target in aliases or any(matches_alias(self.target, one) for one in aliases)

    def is_specific(self, aliases: Iterable[str]) -> bool:
        """Whether it names this one member: by no glob, and by no label that others have too."""
        return self.target in aliases and not is_label(self.target)

    def is_pending(self, wall: float) -> bool:
        """Whether it begins later."""
        return self.starts is not None and wall < self.starts

    def is_live(self, wall: float) -> bool:
        """Whether it is in force."""
        return not self.is_pending(wall) and not self.is_over(wall)

    def is_over(self, wall: float) -> bool:
        return self.expires is not None and self.expires <= wall

    def overlaps(self, other: "Override") -> bool:
        """Whether both are in force at some time."""
        first, second = sorted((self, other), key=lambda override: override.begins)
        return not first.is_over(second.begins)


def matches_alias(glob: str, alias: str) -> bool:
    """A glob without "=" is one over addresses and hosts: `*1` is not for `rack=1`."""
    return (is_label(glob) or not is_label(alias)) and fnmatchcase(alias, glob)


Authors = Callable[[str], str]
"""Gives the author who cleared the override of an id, "" where none is known."""


class ActiveOverrides:
    """The overrides in force, indexed by target, so that unrelated ones cost a member nothing.

    `ended` says, by id, how those ended that were in force before: `drain cleared by alice`.
    """

    def __init__(
        self, overrides: Iterable[Override], ended: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.overrides = tuple(overrides)
        self.ended = ended
        self._health = _Index(o for o in self.overrides if o.action is not Action.WEIGHT)
        self._weights = _Index(o for o in self.overrides if o.action is Action.WEIGHT)

    def replaced(
        self,
        overrides: Iterable[Override],
        wall: float,
        cleared_by: Authors | None,
        *,
        is_reported: bool = True,
    ) -> tuple["ActiveOverrides", set[Override]]:
        """These overrides in place of the old ones, and those in which the two differ. Unless
        `is_reported`, how earlier ones ended is kept as well."""
        now = tuple(overrides)
        gone = set(self.overrides).difference(now)
        ended = {each.id: _ending(each, wall, cleared_by) for each in gone}
        earlier = {} if is_reported else self.ended
        return ActiveOverrides(now, {**earlier, **ended}), gone | set(now).difference(
            self.overrides
        )

    def effective(self, name: str, *aliases: str) -> Override | None:
        """The override that decides whether a member serves."""
        return self._health.effective(name, *aliases)

    def weighting(self, name: str, *aliases: str) -> Override | None:
        """The override that decides the weight of a member."""
        return self._weights.effective(name, *aliases)


class _Index:
    """Overrides of which one at most applies to a member."""

    def __init__(self, overrides: Iterable[Override]) -> None:
        self._literal: dict[str, list[Override]] = {}
        self._globs: list[Override] = []
        for override in overrides:
            if override.is_glob:
                self._globs.append(override)
            else:
                self._literal.setdefault(override.target, []).append(override)

    def effective(self, name: str, *aliases: str) -> Override | None:
        """The more specific one, then the newer one.

        One for a single name beats one for all names, and a literal target beats a glob or a label.
        """
        found = [
            override
            for alias in aliases
            for override in self._literal.get(alias, ())
            if override.name in ("", name)
        ]
        found += [override for override in self._globs if override.matches(name, *aliases)]
        if not found:
            return None
        return max(
            found,
            key=lambda override: (
                bool(override.name),
                override.is_specific(aliases),
                override.created,
                override.id,
            ),
        )


def _ending(override: Override, wall: float, cleared_by: Authors | None) -> str:
    if override.is_over(wall):
        return f"{override.action} expired"
    if override.is_pending(wall):  # The clock was set back.
        return f"{override.action} pending again"
    author = cleared_by(override.id) if cleared_by is not None else ""
    return f"{override.action} cleared{f' by {author}' if author else ''}"


def next_change(overrides: Iterable[Override], wall: float) -> float | None:
    """The Unix time at which the next override begins or expires; None where none will."""
    times = (time for override in overrides for time in (override.starts, override.expires))
    return min((time for time in times if time is not None and time > wall), default=None)
