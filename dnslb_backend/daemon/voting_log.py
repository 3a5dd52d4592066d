"""What operators read in the log about the votes of a fleet: each once, when it changes."""

import math

from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.model.quorum import obstacle

log = ComponentLog(__name__, "quorum")

OUTVOTED_SHARE, OUTVOTED_FEW = 0.1, 5
OUTVOTED_FOR = 30.0
"""A node is outvoted on more than this share of its targets, and more than so few, for so long."""

OBSTACLE_FOR = 15.0
"""Seconds in which all nodes have become known."""


class VotingLog:
    """Compares what it reported last with what is so now."""

    def __init__(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self._voters: tuple[str, ...] | None = None
        self._abstains = "starting"
        self._outvoted_since = math.inf
        self._is_outvoted = False
        self._ballots: dict[str, str] = {}
        self._obstacle, self._obstacle_since = "", math.inf
        self.obstacle = ""
        """Why the nodes cannot agree, as it was reported; empty: they can."""

    def report(self, mono: float) -> None:
        """Log what has changed."""
        self._report_voters()
        self._report_outvoted(mono)
        self._report_ballots()
        self._report_obstacle(mono)

    def _report_voters(self) -> None:
        agreement = self._agreement
        voters = tuple(peer.voter.node for peer in agreement.peer_table.voters)
        if voters != self._voters:
            if self._voters is not None or voters:
                log.warning("voters besides this node: %s", ", ".join(voters) or "none")
            self._voters = voters
        if agreement.abstains != self._abstains:
            self._abstains = agreement.abstains
            if self._abstains:
                log.warning("this node abstains: %s", self._abstains)
            else:
                log.info("this node votes, as site %s", agreement.rules.site)

    def _report_obstacle(self, mono: float) -> None:
        agreement = self._agreement
        nodes = {peer.voter.node: peer.voter.site for peer in agreement.peer_table.peers.values()}
        if agreement.rules.votes:
            nodes[agreement.node] = agreement.rules.site
        found = obstacle(nodes, agreement.questions.values())
        if found != self._obstacle:
            self._obstacle, self._obstacle_since = found, mono
        if found != self.obstacle and (not found or mono - self._obstacle_since >= OBSTACLE_FOR):
            self.obstacle = found
            if found:
                log.warning("this fleet cannot decide together: %s", found)
            else:
                log.info("this fleet can decide together")

    def _report_outvoted(self, mono: float) -> None:
        outvoted, every = len(self._agreement.figures.outvoted), self._agreement.voted
        if outvoted <= max(OUTVOTED_SHARE * every, OUTVOTED_FEW):
            if self._is_outvoted:
                log.info("no longer outvoted on many targets")
            self._outvoted_since, self._is_outvoted = math.inf, False
            return
        self._outvoted_since = min(self._outvoted_since, mono)
        if not self._is_outvoted and mono - self._outvoted_since >= OUTVOTED_FOR:
            self._is_outvoted = True
            log.warning("outvoted on %d of %d targets: the network of this node?", outvoted, every)

    def _report_ballots(self) -> None:
        """Which nodes ask other questions than this one: they cannot count each other's votes."""
        found = {
            peer.voter.node: peer.voter.ballot
            for peer in self._agreement.peer_table.voters
            if peer.voter.ballot != self._agreement.ballot
        }
        for node in found.keys() - self._ballots.keys():
            others = self._agreement.unasked(node)
            log.warning(
                "%s asks %d questions that this node does not ask: is it configured alike?",
                *(node, others),
            )
        for node in self._ballots.keys() - found.keys():
            log.info("%s asks the same questions as this node, or votes no more", node)
        self._ballots = found
