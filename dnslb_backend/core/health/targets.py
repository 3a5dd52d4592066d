"""Targets: what is probed, the state of each, and the records that use it."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.record_index import RecordIndex
from dnslb_backend.core.health.results import Result
from dnslb_backend.core.health.target import NEVER_PROBED, TargetState, repeated
from dnslb_backend.core.model.records import RecordKey


class TargetListener(Protocol):
    """Follows which targets there are."""

    def added(self, target: TargetKey) -> None:
        """It has its first user."""

    def removed(self, target: TargetKey) -> None:
        """It has lost its last user."""


class Targets:
    """The targets that records use; a target is removed with its last user.

    The state of a target without any result is NEVER_PROBED. Where the votes of other nodes make
    something else of it, that is what is `seen`.
    """

    def __init__(self, listener: TargetListener | None = None) -> None:
        self._listener = listener
        self._seen: dict[TargetKey, TargetState] = {}
        self._states: dict[TargetKey, TargetState] = {}
        self._users = RecordIndex[TargetKey]()
        self.users = self._users.of
        """The records that use a target, as they are now."""
        self.first_user = self._users.first
        """The first of them, by their order; KeyError if there is none."""
        self._in_flight: set[TargetKey] = set()
        self.is_in_flight = self._in_flight.__contains__
        """Whether a probe of this target is in flight."""
        self.begin = self._in_flight.add
        """A probe of this target is under way; `record`, `repeat` or `cancel_probe` of the health
        map ends it."""
        self.end = self._in_flight.discard
        """No probe of this target is in flight any more."""
        self._left: dict[TargetKey, None] = {}
        self._stale: dict[TargetKey, None] = {}
        self.stale = self._stale.keys()
        """Those of which what is seen is stale."""

    def __getitem__(self, target: TargetKey) -> TargetState:
        return self._states.get(target, NEVER_PROBED)

    def __setitem__(self, target: TargetKey, state: TargetState) -> None:
        self._states[target] = state

    def seen(self, target: TargetKey) -> TargetState:
        """What counts for its members: its own state, or what the votes make of it."""
        return self._seen.get(target) or self[target]

    def put(self, target: TargetKey, own: TargetState, seen: TargetState) -> None:
        """Its state is `own` now, and what counts for its members is `seen`."""
        if own is not NEVER_PROBED:
            self._states[target] = own
        if seen is not own:
            self._seen[target] = seen
        else:
            self._seen.pop(target, None)
        self._note_stale(target)

    def _note_stale(self, target: TargetKey) -> None:
        if self.seen(target).stale:
            self._stale[target] = None
        else:
            self._stale.pop(target, None)

    def __contains__(self, target: object) -> bool:
        return target in self._users

    def __iter__(self) -> Iterator[TargetKey]:
        return iter(self._users)

    def is_known(self, target: TargetKey) -> bool:
        """Whether it has a state, from a result or restored."""
        return target in self._states

    def add_user(self, target: TargetKey, user: RecordKey, past: TargetState | None = None) -> None:
        """Add a record that uses it; `past` is its state unless it has one already."""
        if self._listener is not None and target not in self._users:
            self._listener.added(target)
        self._users.add(target, user)
        if past is not None:
            self._states.setdefault(target, past)
            self._note_stale(target)

    def remove_user(self, targets: Iterable[TargetKey], user: RecordKey) -> None:
        """Remove a record from the users of these targets."""
        for target in targets:
            self._users.discard(target, user)
            if target not in self._users:
                self._states.pop(target, None)
                self._seen.pop(target, None)
                self._stale.pop(target, None)
                if self._listener is not None:
                    self._listener.removed(target)
                self._left[target] = None

    def take_unused(self) -> list[TargetKey]:
        """Those whose last user has left since the last call, and that have no new one."""
        left, self._left = self._left, {}
        return [target for target in left if target not in self._users]

    # -- probes -------------------------------------------------------------------------

    def repeat(self, target: TargetKey, result: Result, at: Instant) -> bool:
        """Its probe has ended with a result that only repeats the last one; False if it does not,
        and then nothing was done."""
        state = self._states.get(target)
        after = None if state is None else repeated(state, result, at)
        if after is None:
            return False
        self._in_flight.discard(target)
        self._states[target] = after
        return True
