"""Targets: what is probed, what is known of each, and which records it counts for."""

from collections.abc import Iterable, Iterator, Set

from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.target import NEVER_PROBED, TargetState
from dnslb_backend.core.model.records import RecordKey


class Targets:
    """The targets that records use; one that no record uses any more is forgotten.

    Reading the state of one that was never heard of gives UNHEARD.
    """

    def __init__(self) -> None:
        self._states: dict[TargetKey, TargetState] = {}
        self._users: dict[TargetKey, set[RecordKey]] = {}
        self._in_flight: set[TargetKey] = set()

    def __getitem__(self, target: TargetKey) -> TargetState:
        return self._states.get(target, NEVER_PROBED)

    def __setitem__(self, target: TargetKey, state: TargetState) -> None:
        self._states[target] = state

    def __contains__(self, target: object) -> bool:
        return target in self._users

    def __iter__(self) -> Iterator[TargetKey]:
        return iter(self._users)

    def is_known(self, target: TargetKey) -> bool:
        """Whether anything was ever said of it."""
        return target in self._states

    def users(self, target: TargetKey) -> Set[RecordKey]:
        """The records that it counts for, as they are now and will be."""
        return self._users.get(target, frozenset())

    def add_user(self, target: TargetKey, user: RecordKey, past: TargetState | None = None) -> None:
        """It counts for this record; `past` is what is known of it if nothing newer is."""
        self._users.setdefault(target, set()).add(user)
        if past is not None:
            self._states.setdefault(target, past)

    def remove_user(self, targets: Iterable[TargetKey], user: RecordKey) -> None:
        """They count for this record no more."""
        for target in targets:
            users = self._users.get(target)
            if users is None:
                continue
            users.discard(user)
            if not users:
                del self._users[target]
                self._states.pop(target, None)

    # -- probes -------------------------------------------------------------------------

    def begin(self, target: TargetKey) -> None:
        """A probe of it is under way."""
        self._in_flight.add(target)

    def end(self, target: TargetKey) -> None:
        """No probe of it is under way any more."""
        self._in_flight.discard(target)

    def is_in_flight(self, target: TargetKey) -> bool:
        return target in self._in_flight
