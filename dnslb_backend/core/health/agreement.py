"""What the fleet makes of this node's targets: own votes, verdicts, and when to look again.

The health map reports targets that come and go, and results; the daemon reports what other
nodes say. A verdict changes only when the health map asks for it (`rule`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.connectivity import Connectivity
from dnslb_backend.core.health.duties import Duties
from dnslb_backend.core.health.members import Member, TargetKey
from dnslb_backend.core.health.observation import Observation
from dnslb_backend.core.health.peer_table import PeerTable
from dnslb_backend.core.health.quorum import Vote, row_key
from dnslb_backend.core.health.results import Outcome
from dnslb_backend.core.health.tally import (
    ENOUGH,
    UNDECIDED,
    AgreedHealth,
    Basis,
    CastVote,
    Circumstances,
    judge,
    ruled,
)
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.health.voted_targets import VotedTarget, VoteFigures
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.quorum import CheckQuestion, Needed, QuestionKind, QuorumRules
from dnslb_backend.core.model.records import RecordKey

FIRST_VOTES = 3.0
"""Seconds after the start in which own DOWNs wait for the first votes of others."""


class Agreement:
    """The verdicts on all targets of a node; `node` is its name."""

    def __init__(self, node: str, rules: QuorumRules, at: Instant) -> None:
        self.node = node
        self.rules = rules
        self.peer_table = PeerTable(node)
        self.connectivity = Connectivity()
        self.abstains = "starting"
        self.questions: Mapping[str, CheckQuestion] = {}
        self.ballot = ""
        self.figures = VoteFigures()
        self.awaiting: set[RecordKey] = set()
        """Records whose first answer waits for votes."""
        self._started = at.mono
        self._is_waiting = True
        self._is_collecting = True
        self._first_voter: float | None = None
        self._unfinished: set[RecordKey] | None = None
        self._duties = Duties(node, rules.site, rules.probers)
        self._voted: dict[TargetKey, VotedTarget] = {}
        self._targets: dict[str, dict[TargetKey, VotedTarget]] = {}
        self._changed: dict[str, None] = {}
        self._due: dict[str, None] = {}

    # -- targets ------------------------------------------------------------------------

    def use_plan(self, plan: Plan) -> None:
        """Its records are probed from now on; the targets follow."""
        self.questions = plan.questions
        self.ballot = plan.ballot
        before = plan.records.keys() if self._unfinished is None else self._unfinished
        self._unfinished = before & plan.records.keys()
        self.awaiting &= plan.records.keys()

    def is_awaited(self, key: RecordKey, targets: Collection[TargetKey]) -> bool:
        """Whether the answer of a record, whose check cycle ends now, has to wait for votes."""
        if self._unfinished:
            self._unfinished.discard(key)
        self.awaiting.discard(key)
        followed = [target for target in targets if not self.is_judge(target)]
        unknown = sum(self._voted[each].verdict.health is Health.UNKNOWN for each in followed)
        if unknown and (self._is_collecting or unknown == len(targets)):
            self.awaiting.add(key)
        return key in self.awaiting

    def added(self, target: TargetKey) -> None:
        """A record uses this target from now on."""
        question = self.questions.get(target.check)
        if question is None or question.kind is QuestionKind.LOCAL:
            return
        voted = VotedTarget(row_key(target.address, target.port, question.text), question)
        self._voted[target] = voted
        self._targets.setdefault(voted.row, {})[target] = voted
        self._due[voted.row] = None

    def removed(self, target: TargetKey) -> None:
        """No record uses it any more: the vote is withdrawn."""
        voted = self._voted.pop(target, None)
        if voted is None:
            return
        del self._targets[voted.row][target]
        if not self._targets[voted.row]:
            del self._targets[voted.row]
            self._duties.forget(voted.row)
        self._changed[voted.row] = None
        self.figures.forget(target)

    def is_judge(self, target: TargetKey) -> bool:
        """Whether this node may have a say in the target."""
        voted = self._voted.get(target)
        if voted is None:
            return True
        return self.rules.votes and voted.question.may_judge(self.node, self.rules.site)

    def is_prober(self, target: TargetKey) -> bool:
        """Whether the target is this node's to probe."""
        voted = self._voted.get(target)
        return voted is None or (
            self.is_judge(target) and self._duties.is_mine(voted.row, voted.question)
        )

    def probers(self, target: TargetKey) -> tuple[str, ...] | None:
        """The names of those who probe it now, as far as this node knows; None: all nodes do."""
        voted = self._voted.get(target)
        is_shared = self.rules.probers is not None or not self.rules.votes
        if voted is None or not (is_shared or voted.question.voters):
            return None
        names = set(self._duties.probers(voted.row, voted.question)) - {self.node}
        return tuple(sorted(names | ({self.node} if self.is_prober(target) else set())))

    def is_relieved(self, target: TargetKey) -> bool:
        """Whether others vote on the target in this node's place: its own health is dropped."""
        voted = self._voted.get(target)
        if voted is None or voted.own.health is Health.UNKNOWN or self.is_prober(target):
            return False
        is_short = self._duties.is_short(voted.row, voted.question, self._others(voted.row))
        return not self.is_judge(target) or not is_short

    def _others(self, row: str) -> set[str]:
        return {cast.node for cast in self.peer_table.votes_on(row)}

    def verdict(self, target: TargetKey) -> AgreedHealth | None:
        """What the votes make of it; None where it is never voted on."""
        voted = self._voted.get(target)
        return None if voted is None else voted.verdict

    @property
    def voted(self) -> int:
        """How many targets are voted on."""
        return len(self._voted)

    def unasked(self, node: str) -> int:
        """How many questions of another node this one does not ask."""
        peer = self.peer_table.peers.get(node)
        return len(peer.votes.keys() - self._targets.keys()) if peer else 0

    def why_not(self, node: str, mono: float) -> str:
        """Why the votes of a node do not count now, this one's own included; empty: they do."""
        if node != self.node:
            return self.peer_table.peers[node].why_not_counted(mono, self.rules.fresh)
        return self.abstains if self.rules.votes else "it does not vote"

    def votes_known(self, target: TargetKey, mono: float) -> list[tuple[str, str, Vote, str]]:
        """Node, site and vote of all who say something of a target, and why it does not count."""
        voted = self._voted.get(target)
        if voted is None:
            return []
        peers = self.peer_table.peers.values()
        found = [(p.voter.node, p.voter.site, p.votes.get(voted.row)) for p in peers]
        found.append((self.node, self.rules.site, self.own_vote(voted.row)))
        return [
            (node, site, vote, self.why_not(node, mono))
            for node, site, vote in sorted(found, key=lambda each: each[0])
            if vote is not None
        ]

    def is_outvoted(self, row: str, vote: Vote) -> bool:
        """Whether a vote is against what counts here."""
        found = {voted.verdict.health for voted in self._targets.get(row, {}).values()}
        return bool(found - {vote.says, Health.UNKNOWN})

    def bases(self) -> dict[Basis, int]:
        """How many targets rest on what."""
        held, own = len(self.figures.held), len(self.figures.own)
        return {Basis.AGREED: self.voted - held - own, Basis.HELD: held, Basis.OWN: own}

    def contradicted(self, row: str, vote: Vote | None) -> list[TargetKey]:
        """The targets of which this node says something else than such a vote."""
        if vote is None:
            return []
        return [
            target
            for target, voted in self._targets.get(row, {}).items()
            if self.is_prober(target) and voted.own.last_known is not vote.says
        ]

    def targets_of(self, row: str) -> Iterable[TargetKey]:
        """The targets that a vote with this row key is about."""
        return list(self._targets.get(row, ()))

    # -- own votes ----------------------------------------------------------------------

    def observed(self, observed: Observation) -> None:
        """A result of this node counts."""
        voted = self._voted.get(observed.target)
        outcome = observed.result.outcome
        if voted is None or outcome is Outcome.ERROR:
            return
        voted.has_result = True
        self.connectivity.count(is_pass=outcome is Outcome.PASS)
        if observed.after.last_known is Health.UP is not observed.before.last_known:
            voted.came_back = observed.at.mono

    def take_changed(self, limit: int) -> dict[str, Vote | None]:
        """Own votes that have changed since the last call, `limit` at most."""
        rows = list(self._changed)[:limit]
        for row in rows:
            del self._changed[row]
        return {row: self.own_vote(row) for row in rows}

    @property
    def has_changed(self) -> bool:
        """Whether `take_changed` returns something."""
        return bool(self._changed)

    def own_votes(self) -> dict[str, Vote]:
        """Every vote that this node gives."""
        votes = {row: self.own_vote(row) for row in self._targets}
        return {row: vote for row, vote in votes.items() if vote is not None}

    def own_vote(self, row: str) -> Vote | None:
        """What this node says; UP where one of several targets with one row key is."""
        states = [
            (target, voted.own)
            for target, voted in self._targets.get(row, {}).items()
            if self._is_vote(target, voted)
        ]
        if not states:
            return None
        ups = [each for each in states if each[1].last_known is Health.UP]
        target, own = (ups or states)[0]
        result = own.result
        return Vote(
            own.last_known,
            result.code if result else 0,
            result.text if result else "",
            own.priority,
            own.weight,
            own.last_change or 0.0,
            target.address,
            "",
        )

    def _is_vote(self, target: TargetKey, voted: VotedTarget) -> bool:
        return voted.is_known and self.is_judge(target)

    # -- verdicts -----------------------------------------------------------------------

    def restore(self, members: Iterable[Member], agreed: Mapping[str, Sequence[Health]]) -> None:
        """What an earlier run has left: the agreed health of targets, by content, as held."""
        for member in members:
            for target, health in zip(member.targets, agreed.get(member.content, ()), strict=False):
                voted = self._voted.get(target)
                if voted and voted.verdict is UNDECIDED and health is not Health.UNKNOWN:
                    voted.verdict = AgreedHealth(Basis.HELD, health, lost=self._started)

    def rule(self, target: TargetKey, own: TargetState, at: Instant) -> TargetState:
        """The state that counts, where this node's own is `own` now."""
        voted = self._voted.get(target)
        if voted is None:
            return own
        voted.own = own
        self._note_vote(target, voted)
        verdict = judge(
            self.votes_on(voted.row),
            own,
            voted.verdict,
            self._needed(voted.question),
            1 if len(voted.question.voters) == 1 else ENOUGH,
            self._circumstances(target, voted, at),
            at,
        )
        self._note(target, voted, verdict)
        if self.rules.probers is not None:
            self._duties.note(voted.row, voted.question, self._others(voted.row), at.mono)
        return ruled(own, verdict, at)

    def votes_on(self, row: str) -> list[CastVote]:
        """Every vote that counts, in the order of the nodes' names."""
        votes = list(self.peer_table.votes_on(row))
        own = None if self.abstains else self.own_vote(row)
        if own is not None:
            votes.append(CastVote(self.node, self.rules.site, own))
            votes.sort()
        return votes

    def _needed(self, question: CheckQuestion) -> Needed:
        return "all" if question.kind is QuestionKind.REPORTED else self.rules.down

    def _circumstances(self, target: TargetKey, voted: VotedTarget, at: Instant) -> Circumstances:
        lost = voted.verdict.lost
        return Circumstances(
            self.rules.hold,
            came_back=lost is not None and voted.came_back is not None and voted.came_back >= lost,
            is_connected=lost is not None and self.connectivity.is_connected(lost),
            is_waiting=self._is_waiting,
            is_follower=not self.is_judge(target),
        )

    def _note_vote(self, target: TargetKey, voted: VotedTarget) -> None:
        """Whether what this node says of it has changed."""
        own = voted.own
        is_vote = self._is_vote(target, voted)
        says = (own.last_known, own.priority, own.weight) if is_vote else None
        if says != voted.noted_vote:
            voted.noted_vote = says
            self._changed[voted.row] = None
            if len(self._targets[voted.row]) > 1:
                self._due[voted.row] = None

    def _note(self, target: TargetKey, voted: VotedTarget, verdict: AgreedHealth) -> None:
        voted.verdict = verdict
        self.figures.note(target, voted, has_others=bool(self.peer_table.voters))

    # -- when to rule again -------------------------------------------------------------

    def votes_read(
        self, node: str, instance: str, votes: Mapping[str, Vote | None], *, is_whole: bool
    ) -> set[str]:
        """Votes of another node were read; those that have changed count when they are due."""
        changed = self.peer_table.votes_read(node, instance, votes, is_whole=is_whole)
        self._due.update(dict.fromkeys(row for row in changed if row in self._targets))
        return changed

    def update_voters(self, reason: str, at: Instant) -> bool:
        """Settle who votes from now on; whether that has changed, and every verdict is due.

        `reason` is why this node abstains, empty where it has no reason.
        """
        abstains = "starting" if self._unfinished else reason
        is_changed = self.peer_table.update_voters(at.mono, self.rules.fresh)
        is_changed |= bool(abstains) != bool(self.abstains)
        self.abstains = abstains
        if self.peer_table.voters and self._first_voter is None:
            self._first_voter = at.mono
        is_collecting = self._first_voter is None or at.mono - self._first_voter < FIRST_VOTES
        is_changed |= is_collecting != self._is_collecting
        self._is_collecting = is_collecting
        if self._is_waiting and at.mono - self._started >= FIRST_VOTES:
            self._is_waiting, is_changed = False, True
        self.connectivity.tick(at.mono)
        others = (peer.voter for peer in self.peer_table.voters)
        alike = [(each.node, each.site) for each in others if each.ballot == self.ballot]
        own = [(self.node, self.rules.site)] if self.rules.votes else []
        self._duties.choose_from((*own, *alike), self.rules.probers)
        self._due.update(dict.fromkeys(self._duties.waiting()))
        if is_changed:
            self.recount()
        else:
            self._due.update(dict.fromkeys(self._overdue(at)))
        return is_changed

    def configure(self, rules: QuorumRules) -> None:
        """Follow other rules from now on."""
        self.rules = rules
        for voted in self._voted.values():
            self._changed[voted.row] = None
        self.recount()

    @property
    def has_due(self) -> bool:
        """Whether `take_due` returns something."""
        return bool(self._due)

    def recount(self) -> None:
        """Every verdict is due."""
        self._due.update(dict.fromkeys(self._targets))

    def take_due(self, limit: int) -> Sequence[TargetKey]:
        """Targets on which to rule now, of at most so many row keys."""
        rows = list(self._due)[:limit]
        for row in rows:
            del self._due[row]
        return [target for row in rows for target in self._targets.get(row, ())]

    def _overdue(self, at: Instant) -> Iterable[str]:
        """Those that were held for long enough, or for which this node can vouch by now."""
        is_over: dict[float, bool] = {}
        for target in self.figures.held:
            voted = self._voted[target]
            lost = voted.verdict.lost
            if lost is None or not self.is_judge(target) or voted.own.health is Health.UNKNOWN:
                continue
            if lost not in is_over:
                is_past = at.mono - lost >= self.rules.hold
                is_over[lost] = is_past or self.connectivity.is_connected(lost)
            if is_over[lost]:
                yield voted.row
