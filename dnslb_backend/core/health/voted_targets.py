"""The targets that are voted on, and figures about them."""

from dataclasses import dataclass, field

from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.tally import UNDECIDED, AgreedHealth, Basis
from dnslb_backend.core.health.target import NEVER_PROBED, Health, TargetState
from dnslb_backend.core.model.quorum import CheckQuestion


@dataclass(slots=True)
class VotedTarget:
    """One target that is voted on. `own` is this node's state of it, as `rule` received it last."""

    row: str
    question: CheckQuestion
    own: TargetState = NEVER_PROBED
    verdict: AgreedHealth = UNDECIDED
    has_result: bool = False
    """Whether a result of this run counted: a restored health is no vote."""
    came_back: float | None = None
    """When its own health last became UP, monotonic."""
    noted_vote: tuple[object, ...] | None = None
    """What this node's vote says, as it was last noted as changed."""

    @property
    def is_known(self) -> bool:
        """Whether this node has something to say of it."""
        own = self.own
        # Who never reported here may report elsewhere.
        is_silent = own.result is not None and own.result.report == 0
        return self.has_result and own.health is not Health.UNKNOWN and not is_silent


@dataclass(slots=True)
class VoteFigures:
    """Targets, by what is to be noticed about them."""

    held: dict[TargetKey, None] = field(default_factory=dict)
    own: dict[TargetKey, None] = field(default_factory=dict)
    outvoted: dict[TargetKey, None] = field(default_factory=dict)
    unshared: dict[TargetKey, None] = field(default_factory=dict)
    """Those that only this node votes on, while others vote."""

    def note(self, target: TargetKey, voted: VotedTarget, *, has_others: bool) -> None:
        """There is a verdict on it; `has_others`: the votes of other nodes count."""
        basis, own = voted.verdict.basis, voted.own.health
        is_alone = sum(voted.verdict.tally) == 1 and has_others
        for noted, is_so in (
            (self.held, basis is Basis.HELD),
            (self.own, basis is Basis.OWN),
            (self.outvoted, own not in (voted.verdict.health, Health.UNKNOWN)),
            (self.unshared, is_alone and voted.is_known),
        ):
            if is_so:
                noted[target] = None
            else:
                noted.pop(target, None)

    def forget(self, target: TargetKey) -> None:
        """It is voted on no more."""
        for noted in (self.held, self.own, self.outvoted, self.unshared):
            noted.pop(target, None)
