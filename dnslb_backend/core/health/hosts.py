"""The addresses behind one host name.

resolution  addresses afterwards
found       the new ones
empty       none: the name exists and has no address of this family
NXDOMAIN    the old ones until dns_ttl has passed since the last good answer, then none
failed      the old ones, without limit: a failed lookup says nothing about the name

Of more than `limit` addresses, those already in use are kept first, then the lowest ones, so that
a resolver that rotates a long list changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dnslb_backend.core.health.resolutions import Resolution, Status


@dataclass(frozen=True, slots=True)
class HostState:
    """`resolved` is the monotonic time of the last found or empty answer, None before it.

    `ignored` counts the addresses of that answer that are over the limit.
    """

    addresses: tuple[str, ...] = ()
    resolved: float | None = None
    is_answered: bool = False
    last: Resolution | None = None
    ignored: int = 0

    def is_overdue(self, mono: float, dns_ttl: float) -> bool:
        """Whether lookups fail and the last good answer is older than dns_ttl."""
        if self.last is None or self.last.status is not Status.FAILED or not self.is_answered:
            return False
        return self.resolved is None or mono - self.resolved > dns_ttl


UNRESOLVED = HostState()


def apply_resolution(
    state: HostState, resolution: Resolution, mono: float, dns_ttl: float, limit: int
) -> HostState:
    """The state after one more resolution; the table above is the rule."""
    match resolution.status:
        case Status.FOUND | Status.EMPTY:
            addresses = _limited(resolution.addresses, state.addresses, limit)
            ignored = len(resolution.addresses) - len(addresses)
            last = resolution if not ignored else replace(resolution, addresses=addresses)
            return HostState(addresses, mono, is_answered=True, last=last, ignored=ignored)
        case Status.NXDOMAIN:
            is_fresh = state.resolved is not None and mono - state.resolved < dns_ttl
            if is_fresh:
                return replace(state, is_answered=True, last=resolution)
            return HostState((), state.resolved, is_answered=True, last=resolution)
        case Status.FAILED:
            return replace(state, last=resolution)


def limited(state: HostState, limit: int) -> HostState:
    """The state with at most `limit` addresses, as after a reload that lowered the limit."""
    if len(state.addresses) <= limit:
        return state
    ignored = state.ignored + len(state.addresses) - limit
    return replace(state, addresses=state.addresses[:limit], ignored=ignored)


def _limited(found: Sequence[str], used: Sequence[str], limit: int) -> tuple[str, ...]:
    """At most `limit` of the addresses, in the order in which they were found."""
    if len(found) <= limit:
        return tuple(found)
    known = frozenset(used)
    kept = sorted(range(len(found)), key=lambda index: (found[index] not in known, index))[:limit]
    return tuple(found[index] for index in sorted(kept))
