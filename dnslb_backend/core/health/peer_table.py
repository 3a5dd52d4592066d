"""The other nodes of a fleet: whose votes count now, and what each has voted.

No clocks are compared: a voter is fresh while this node sees its beat change, on its own monotonic
clock. What stands there at the first look is old until it changes. A node whose instance changes
twice within `fresh` may be two daemons of one name, and none of them counts until it has rested.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dnslb_backend.core.health.quorum import PROTOCOL, Vote, Voter
from dnslb_backend.core.health.tally import CastVote


@dataclass(eq=False, slots=True)
class Peer:
    """Another node: its row, when its beat was seen to change (monotonic), and its votes."""

    voter: Voter
    beat_seen: float = -math.inf
    replaced: float = -math.inf
    """When its instance changed last."""
    ambiguous_until: float = -math.inf
    votes: dict[str, Vote] = field(default_factory=dict)

    def update(self, voter: Voter, mono: float, fresh: float) -> None:
        """Its row was read."""
        before, self.voter = self.voter, voter
        if voter.instance != before.instance:
            if mono - self.replaced < fresh:
                self.ambiguous_until = mono + fresh
            self.replaced = mono
            self.beat_seen = -math.inf
        elif voter.beat > before.beat:
            # One that went back is of a backup, or of a server that lags: no sign of life.
            self.beat_seen = mono

    def age(self, mono: float) -> float | None:
        """Seconds since its beat was seen to change; None: never."""
        return None if self.beat_seen == -math.inf else mono - self.beat_seen

    def why_not_counted(self, mono: float, fresh: float) -> str:
        """Why its votes do not count now; empty where they do."""
        if self.voter.protocol > PROTOCOL:
            return f"it votes by protocol {self.voter.protocol}, this node reads {PROTOCOL}"
        if mono < self.ambiguous_until:
            return "restarted twice at once, or two daemons use its name"
        if mono - self.beat_seen > fresh:
            age = self.age(mono)
            return "no sign of life" if age is None else f"silent for {age:.0f} s"
        return self.voter.abstains


@dataclass(eq=False, slots=True)
class _RunVotes:
    """The votes that one run of a node has given."""

    instance: str
    votes: dict[str, Vote] = field(default_factory=dict)


class PeerTable:
    """What is known of the other nodes; `node` is this one. It is given what was read, and when.

    Votes may be read before the sign of life that they belong to is seen.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._runs: dict[str, _RunVotes] = {}
        self.peers: dict[str, Peer] = {}
        self.voters: tuple[Peer, ...] = ()
        """Those whose votes count since the last `update_voters`, by name."""

    def voters_read(self, rows: Sequence[Voter], mono: float, fresh: float) -> None:
        """These are all the rows of voters."""
        others = {row.node: row for row in rows if row.node != self._node}
        for node, row in others.items():
            if node in self.peers:
                self.peers[node].update(row, mono, fresh)
            else:
                self.peers[node] = Peer(row)
            run = self._runs.get(node)
            is_of_this_run = run is not None and run.instance == row.instance
            self.peers[node].votes = run.votes if run and is_of_this_run else {}
        for node in self.peers.keys() - others.keys():
            del self.peers[node]
            self._runs.pop(node, None)

    def votes_read(
        self, node: str, instance: str, votes: Mapping[str, Vote | None], *, is_whole: bool
    ) -> set[str]:
        """Votes of a node were read; the row keys for which they have changed."""
        run = self._runs.get(node)
        if run is None or run.instance != instance:
            run = self._runs[node] = _RunVotes(instance)
        known = run.votes
        changed = {key for key, vote in votes.items() if known.get(key) != vote}
        if is_whole:
            changed |= known.keys() - votes.keys()
        for key in changed:
            if (vote := votes.get(key)) is None:
                known.pop(key, None)
            else:
                known[key] = vote
        return changed

    def update_voters(self, mono: float, fresh: float) -> bool:
        """Settle whose votes count from now on; whether that has changed."""
        before = self.voters
        self.voters = tuple(
            peer for _, peer in sorted(self.peers.items()) if not peer.why_not_counted(mono, fresh)
        )
        return self.voters != before

    def votes_on(self, key: str) -> Iterator[CastVote]:
        """What those whose votes count say of a question, by their names."""
        for peer in self.voters:
            if (vote := peer.votes.get(key)) is not None:
                yield CastVote(peer.voter.node, peer.voter.site, vote)
