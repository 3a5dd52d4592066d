"""The metrics of the mirrors."""

from collections.abc import Sequence

from dnslb_backend import metrics
from dnslb_backend.store.mirror.mirror import Mirror, MirrorStatus


class Meter:
    """Adds to the counters what the mirrors have counted since the last update.

    Metrics without a label are of the database where there is one, else of the local file.
    """

    def __init__(self) -> None:
        self._before: MirrorStatus | None = None

    def update(self, mirrors: Sequence[Mirror]) -> None:
        """To be called every few seconds; the database's mirror is the last one."""
        for mirror in mirrors:
            status = mirror.status
            metrics.MIRROR_UP.labels(status.store).set(status.is_connected)
        now, before = mirrors[-1].status, self._before
        metrics.MIRROR_LAG.set(now.lag)
        metrics.MIRROR_BACKLOG.set(now.backlog + now.history)
        metrics.MIRROR_ROWS.inc(_growth(now.rows, before.rows if before else 0))
        metrics.MIRROR_ERRORS.inc(_growth(now.errors, before.errors if before else 0))
        metrics.MIRROR_DROPPED.inc(_growth(now.dropped, before.dropped if before else 0))
        self._before = now


def _growth(now: int, before: int) -> int:
    """A mirror that has replaced another counts from zero."""
    return now - before if now >= before else now
