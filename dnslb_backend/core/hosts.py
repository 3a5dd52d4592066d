"""What is known of the addresses behind one host name.

answer      addresses afterwards
found       the new ones
empty       none: the name exists and has no address of this family
NXDOMAIN    the old ones until dns_ttl has passed since the last good answer, then none
failed      the old ones, for as long as it takes: silence of a resolver is no answer
"""

from dataclasses import dataclass, replace

from dnslb_backend.core.resolutions import Resolution, Status


@dataclass(frozen=True, slots=True)
class HostState:
    """`resolved` is the monotonic time of the last found or empty answer, None before it."""

    addresses: tuple[str, ...] = ()
    resolved: float | None = None
    is_answered: bool = False
    last: Resolution | None = None

    def is_overdue(self, mono: float, dns_ttl: float) -> bool:
        """Whether the addresses stand in for an answer that has been missing past dns_ttl."""
        if self.last is None or self.last.status is not Status.FAILED or not self.is_answered:
            return False
        return self.resolved is None or mono - self.resolved > dns_ttl


UNRESOLVED = HostState()


def hear(state: HostState, answer: Resolution, mono: float, dns_ttl: float) -> HostState:
    """The state after one more answer; the table above is the rule."""
    match answer.status:
        case Status.FOUND | Status.EMPTY:
            return HostState(answer.addresses, mono, is_answered=True, last=answer)
        case Status.NXDOMAIN:
            stands = state.resolved is not None and mono - state.resolved < dns_ttl
            addresses = state.addresses if stands else ()
            return replace(state, addresses=addresses, is_answered=True, last=answer)
        case Status.FAILED:
            return replace(state, last=answer)
