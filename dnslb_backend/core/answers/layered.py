"""A mapping of which a few values change at a time: what has changed is a layer above the rest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

V = TypeVar("V")

DEEPEST = 256
"""Values in the layer above before it is folded into a copy of all: a change copies that layer,
and every so many changes copy everything."""


@dataclass(frozen=True, slots=True)
class Layered(Mapping[str, V], Generic[V]):
    """`changed` hides values of `base`, and has no keys besides; neither changes any more."""

    base: dict[str, V]
    changed: dict[str, V] = field(default_factory=dict)

    def __getitem__(self, key: str) -> V:
        return self.changed[key] if key in self.changed else self.base[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.base)

    def __len__(self) -> int:
        return len(self.base)

    def flat(self) -> dict[str, V]:
        """All of it in one dictionary, which is the caller's."""
        return {**self.base, **self.changed}

    def replaced(self, values: Mapping[str, V]) -> "Layered[V]":
        """The same with other values for keys that it has."""
        changed = {**self.changed, **values}
        if len(changed) > DEEPEST:
            return Layered(Layered(self.base, changed).flat())
        return Layered(self.base, changed)
