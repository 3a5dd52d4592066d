"""Lookups of the host names of records: started in slots, cancelled, and their answers."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from dnslb_backend import metrics
from dnslb_backend.checkers.schedule.resolver import Family, Resolver
from dnslb_backend.checkers.schedule.slots import Slots
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.resolutions import Resolution, Status, unresolved
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.tasks import BackgroundTasks

log = ComponentLog(__name__, "resolver")

Answered = Callable[[RecordKey, str, Resolution | None], None]


class Lookups:
    """At most `limit` records are being resolved at once.

    `answered` gets every answer, None where the lookup was ended by the daemon's stop.
    """

    def __init__(
        self, health: HealthMap, resolver: Resolver, answered: Answered, limit: int
    ) -> None:
        self._health = health
        self._resolver = resolver
        self._answered = answered
        self._tasks: dict[tuple[RecordKey, str], asyncio.Task[Resolution]] = {}
        self._background = BackgroundTasks("resolver")
        self.slots: Slots[str] = Slots(limit, self._begin)

    def want(self, key: RecordKey, due: float) -> Sequence[str]:
        """Look up all names of a record that are not being looked up already; returns those."""
        hosts = [
            host
            for host in self._health.records[key].record.host_names()
            if (key, host) not in self._tasks and not self.slots.is_waiting(key, host)
        ]
        self.slots.want(key, hosts, due)
        return hosts

    def drop(self, key: RecordKey) -> None:
        """Call off the lookups of a record that is gone or was changed."""
        self.slots.drop(key)
        for lookup in [each for each in self._tasks if each[0] == key]:
            self._tasks.pop(lookup).cancel()
            self.slots.done(key)

    async def stop(self) -> None:
        self.slots.clear()
        await self._background.close()

    def _begin(self, key: RecordKey, host: str, _due: float) -> bool:
        if key not in self._health.records:
            return False
        timing = self._health.records[key].record.timing
        family: Family = "AAAA" if key.type == "AAAA" else "A"
        task = self._background.share(self._resolver.resolve(host, family, timing.dns_timeout))
        self._tasks[key, host] = task
        task.add_done_callback(partial(self._ended, key, host))
        return True

    def _ended(self, key: RecordKey, host: str, task: asyncio.Task[Resolution]) -> None:
        if self._tasks.get((key, host)) is not task:
            return
        del self._tasks[key, host]
        answer = None if task.cancelled() else _answer(task)
        try:
            if answer is not None:
                metrics.RESOLUTIONS.labels(answer.status).inc()
                self._report(key, host, answer)
            self._answered(key, host, answer)
        finally:
            self.slots.done(key)

    def _report(self, key: RecordKey, host: str, answer: Resolution) -> None:
        """Log that a name cannot be resolved, once until it can, in whatever way it fails."""
        known = self._health.records[key].hosts.get(host)
        last = known.last if known is not None else None
        if answer.status is Status.FAILED and (last is None or last.status is not Status.FAILED):
            log.warning("%s: %s cannot be resolved: %s", key, host, answer.text)
        if answer.ignored and (last is None or last.ignored != answer.ignored):
            log.warning("%s: %s: ignoring %s", key, host, ", ".join(answer.ignored))


def _answer(task: asyncio.Task[Resolution]) -> Resolution:
    """What a lookup returned; an exception in our own code says nothing about the name."""
    try:
        return task.result()
    except Exception as error:
        log.exception("unhandled exception in a lookup of a host name")
        return unresolved(f"unexpected {type(error).__name__}")
