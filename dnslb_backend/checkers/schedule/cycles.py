"""Check cycles: for which host names and targets each record waits, from a tick on."""

import asyncio
from collections.abc import Callable, Iterable

from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.model.records import RecordKey

CYCLES_PER_TURN = 50
"""So many cycles end in one turn of the event loop: some milliseconds."""

_Left = set[str | TargetKey]
"""What a cycle still waits for."""


class Cycles:
    """The cycles under way. `ended` is called once nothing is left that a cycle waits for."""

    def __init__(self, ended: Callable[[RecordKey], None]) -> None:
        self._ended = ended
        self._open: dict[RecordKey, _Left] = {}
        self._waiting: dict[TargetKey, set[RecordKey]] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._open

    def begin(self, key: RecordKey, hosts: Iterable[str], targets: Iterable[TargetKey]) -> None:
        """A cycle of a record that has none under way; `end_if_done` must follow."""
        self._open[key] = set(hosts)
        self.join(key, targets)

    def join(self, key: RecordKey, targets: Iterable[TargetKey]) -> None:
        """The cycle of this record, if one is under way, waits for these targets as well."""
        if (left := self._open.get(key)) is not None:
            for target in targets:
                left.add(target)
                self._waiting.setdefault(target, set()).add(key)

    def host_done(self, key: RecordKey, host: str) -> None:
        if (left := self._open.get(key)) is not None:
            left.discard(host)
            self.end_if_done(key)

    def target_done(self, target: TargetKey) -> None:
        """It answered, timed out, or is probed no more: for every record that waits for it. Of very
        many records, the cycles end over several turns of the event loop."""
        waiting = self._waiting.pop(target, None)
        if not waiting:
            return
        if len(waiting) == 1:
            # Most targets have one record, and all of this is done for every probe.
            (key,) = waiting
            self._end_wait(key, self._open.get(key), target)
        else:
            self._end_waits(target, [(key, self._open.get(key)) for key in waiting])

    def _end_waits(self, target: TargetKey, waits: list[tuple[RecordKey, _Left | None]]) -> None:
        if rest := waits[CYCLES_PER_TURN:]:
            asyncio.get_running_loop().call_soon(self._end_waits, target, rest)
        for key, left in waits[:CYCLES_PER_TURN]:
            # Else that cycle has ended, and perhaps another one has begun.
            if self._open.get(key) is left:
                self._end_wait(key, left, target)

    def _end_wait(self, key: RecordKey, left: _Left | None, target: TargetKey) -> None:
        if left is not None:
            left.discard(target)
            if not left:
                self.end_if_done(key)

    def end_if_done(self, key: RecordKey) -> None:
        left = self._open.get(key)
        if left is not None and not left:
            del self._open[key]
            self._ended(key)

    def drop(self, key: RecordKey) -> None:
        """Forget the cycle of a record that is gone or was changed."""
        for item in self._open.pop(key, ()):
            if isinstance(item, TargetKey) and (waiting := self._waiting.get(item)) is not None:
                waiting.discard(key)

    def clear(self) -> None:
        self._open.clear()
        self._waiting.clear()
