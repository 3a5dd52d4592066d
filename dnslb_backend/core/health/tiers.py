"""Priority tiers: which of the healthy members serve."""

from collections.abc import Iterable


def threshold(priorities: Iterable[int], min_count: int) -> int | None:
    """The lowest priority that serves, None where no member can.

    Only positive priorities serve. Walking down from the highest, a tier is opened as long as
    fewer than `min_count` members are in; if all together are too few, all are in.
    """
    descending = sorted((p for p in priorities if p > 0), reverse=True)
    if not descending:
        return None
    return descending[min(max(min_count, 1), len(descending)) - 1]
