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
    moved: float = -math.inf
    replaced: float = -math.inf
    """When its instance changed last."""
    restless_until: float = -math.inf
    votes: dict[str, Vote] = field(default_factory=dict)

    def see(self, voter: Voter, mono: float, fresh: float) -> None:
        """Its row was read."""
        before, self.voter = self.voter, voter
        if voter.instance != before.instance:
            if mono - self.replaced < fresh:
                self.restless_until = mono + fresh
            self.replaced = mono
            self.moved = -math.inf
        elif voter.beat > before.beat:
            # One that went back is of a backup, or of a server that lags: no sign of life.
            self.moved = mono

    def age(self, mono: float) -> float | None:
        """Seconds since its beat was seen to change; None: never."""
        return None if self.moved == -math.inf else mono - self.moved

    def doubt(self, mono: float, fresh: float) -> str:
        """Why its votes do not count now; empty where they do."""
        if self.voter.protocol > PROTOCOL:
            return f"it votes by protocol {self.voter.protocol}, this node reads {PROTOCOL}"
        if mono < self.restless_until:
            return "restarted twice at once, or two daemons use its name"
        if mono - self.moved > fresh:
            age = self.age(mono)
            return "no sign of life" if age is None else f"silent for {age:.0f} s"
        return self.voter.abstains


@dataclass(eq=False, slots=True)
class _Heard:
    """The votes that one run of a node has given."""

    instance: str
    votes: dict[str, Vote] = field(default_factory=dict)


class Assembly:
    """What is known of the other nodes; `node` is this one. It is told what was read, and when.

    Votes may be heard before the sign of life that they belong to is seen.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._heard: dict[str, _Heard] = {}
        self.peers: dict[str, Peer] = {}
        self.voters: tuple[Peer, ...] = ()
        """Those whose votes count since the last `muster`, by name."""

    def saw(self, rows: Sequence[Voter], mono: float, fresh: float) -> None:
        """These are all the rows of voters."""
        others = {row.node: row for row in rows if row.node != self._node}
        for node, row in others.items():
            if node in self.peers:
                self.peers[node].see(row, mono, fresh)
            else:
                self.peers[node] = Peer(row)
            heard = self._heard.get(node)
            is_of_this_run = heard is not None and heard.instance == row.instance
            self.peers[node].votes = heard.votes if heard and is_of_this_run else {}
        for node in self.peers.keys() - others.keys():
            del self.peers[node]
            self._heard.pop(node, None)

    def heard(
        self, node: str, instance: str, votes: Mapping[str, Vote | None], *, is_whole: bool
    ) -> set[str]:
        """Votes of a node were read; the row keys for which they have changed."""
        heard = self._heard.get(node)
        if heard is None or heard.instance != instance:
            heard = self._heard[node] = _Heard(instance)
        known = heard.votes
        changed = {key for key, vote in votes.items() if known.get(key) != vote}
        if is_whole:
            changed |= known.keys() - votes.keys()
        for key in changed:
            if (vote := votes.get(key)) is None:
                known.pop(key, None)
            else:
                known[key] = vote
        return changed

    def muster(self, mono: float, fresh: float) -> bool:
        """Settle whose votes count from now on; whether that has changed."""
        before = self.voters
        self.voters = tuple(
            peer for _, peer in sorted(self.peers.items()) if not peer.doubt(mono, fresh)
        )
        return self.voters != before

    def votes_on(self, key: str) -> Iterator[CastVote]:
        """What those whose votes count say of a question, by their names."""
        for peer in self.voters:
            if (vote := peer.votes.get(key)) is not None:
                yield CastVote(peer.voter.node, peer.voter.site, vote)
