"""Which members each record has, and so which targets it uses and which overrides cover it."""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from dnslb_backend.core.health.coverage import Coverage
from dnslb_backend.core.health.members import TargetKey, build_members
from dnslb_backend.core.health.overrides import Override
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.target import TargetState
from dnslb_backend.core.health.targets import Targets
from dnslb_backend.core.model.records import RecordKey

StatesByMember: TypeAlias = Mapping[str, tuple[TargetState, ...]]
"""States of the targets of members, by content, in the order of the checks."""


class Membership:
    """Builds the members of records, and keeps `targets` up to date with those who use them."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._coverage = Coverage()

    def covered(self, overrides: Iterable[Override]) -> set[RecordKey]:
        """The records of which any of these overrides matches a member or a destination."""
        return {key for override in overrides for key in self._coverage.covered(override)}

    def states(self, state: RecordState) -> StatesByMember:
        """What is known of the targets of each member."""
        return {
            member.content: tuple(
                self._targets[target] for target in member.targets if self._targets.is_known(target)
            )
            for member in state.members
        }

    def rebuild(
        self, key: RecordKey, state: RecordState, carried: StatesByMember | None = None
    ) -> None:
        """Rebuild the members; `carried` is used for targets of which nothing is known yet."""
        before = state.positions
        state.is_reshaped, state.is_partial = False, False
        state.members = build_members(state.record, state.hosts)
        positions: dict[TargetKey, list[int]] = {}
        for position, member in enumerate(state.members):
            past = (carried or {}).get(member.content, ())
            for index, target in enumerate(member.targets):
                positions.setdefault(target, []).append(position)
                self._targets.add_user(
                    target, key, past[min(index, len(past) - 1)] if past else None
                )
        state.positions = {target: tuple(found) for target, found in positions.items()}
        self.release(key, [target for target in before if target not in state.positions])
        aliases = {alias for member in state.members for alias in member.aliases}
        for dest in state.record.dests:
            aliases.update((dest.host, *dest.labels))
        self._coverage.put(key, aliases)

    def switch(
        self,
        before: Mapping[RecordKey, RecordState],
        gone: Mapping[RecordKey, RecordState],
        after: Mapping[RecordKey, RecordState],
    ) -> None:
        """Follow a new plan: `after` are the records that are new or changed in it, `before` what
        the changed ones were."""
        previous = {key: self.states(state) for key, state in before.items()}
        # In the order of their names: where checks become one target, the first state counts.
        for key in sorted(after):
            self.rebuild(key, after[key], previous.get(key))
        # A target is forgotten with its last user, so every new user comes before any leaves.
        for key, state in gone.items():
            self.remove(key, state)
        for key, state in before.items():
            self.release(key, state.positions.keys() - after[key].positions.keys())

    def release(self, key: RecordKey, targets: Collection[TargetKey]) -> None:
        """The record uses these targets no more."""
        self._targets.remove_user(targets, key)

    def remove(self, key: RecordKey, state: RecordState) -> None:
        """The record is gone."""
        self.release(key, state.positions)
        self._coverage.put(key, ())
