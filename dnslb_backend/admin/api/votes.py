"""Which nodes say what of a member, and what the nodes of a fleet are doing."""

from collections.abc import Iterable, Iterator

from aiohttp import web
from pydantic import Field

from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.responses import json_response
from dnslb_backend.admin.http.timestamps import Timestamp, render_optional, render_timestamp
from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.tally import AgreedHealth, Basis
from dnslb_backend.core.health.target import Health, combine
from dnslb_backend.slices import in_slices


class VoteRow(ApiModel):
    """What one node says of a member's target."""

    node: str
    site: str
    says: Health
    code: int
    text: str
    since: Timestamp | None = Field(description="by the clock of that node")
    counts: bool
    why_not: str = Field(description="why it does not count; empty: it does")


class VotesRow(ApiModel):
    """What the health of a member rests on, where nodes decide together."""

    basis: Basis = Field(description="agreed; held: too few vote; own: this node decides alone")
    up: int = Field(description="sites that say UP; of a member with several checks the fewest")
    down: int = Field(description="sites that say DOWN; of those checks the most")
    own: Health = Field(description="what this node has measured itself")
    by: tuple[VoteRow, ...] | None = Field(description="null: not asked for, see `?name=`")
    probers: tuple[str, ...] | None = Field(
        description="nodes that probe it; null: all nodes do, or not asked for"
    )


class NodeRow(ApiModel):
    """One node of the fleet, as this one sees it."""

    node: str
    site: str
    this: bool = Field(description="whether it is the node that answers")
    age: float | None = Field(description="seconds since its sign of life was seen; null: never")
    counts: bool = Field(description="whether its votes count")
    why_not: str = Field(description="why they do not count; empty: they do")
    alike: bool = Field(description="whether it asks the same questions as this node")
    up: int = Field(description="its votes that say UP")
    down: int = Field(description="its votes that say DOWN")
    outvoted: int = Field(description="its votes against what counts on this node")


class NodesReport(ApiModel):
    """The nodes that decide together."""

    time: Timestamp
    node: str
    quorum: bool = Field(description="whether there is [quorum]; without it there are no nodes")
    site: str
    votes: bool = Field(description="whether this node votes; else it follows the others")
    targets: dict[Basis, int] = Field(description="targets, by what their health rests on")
    nodes: tuple[NodeRow, ...]


def votes_row(
    targets: Iterable[TargetKey], require: int, health: HealthMap, at: Instant, *, with_by: bool
) -> VotesRow | None:
    """The votes on the targets of a member; None where they are not voted on."""
    agreement, targets = health.agreement, tuple(targets)
    if agreement is None:
        return None
    verdicts = [found for each in targets if (found := agreement.verdict(each)) is not None]
    if not verdicts:
        return None
    return VotesRow(
        basis=_weakest(verdicts),
        up=min(verdict.tally.up for verdict in verdicts),
        down=max(verdict.tally.down for verdict in verdicts),
        own=combine([health.target(target) for target in targets], require).health,
        by=tuple(_vote_rows(agreement, targets, at)) if with_by else None,
        probers=_probers(agreement, targets) if with_by else None,
    )


def _probers(agreement: Agreement, targets: Iterable[TargetKey]) -> tuple[str, ...] | None:
    """Who probes any of them; None where all nodes do."""
    found = [agreement.probers(target) for target in targets]
    if None in found:
        return None
    return tuple(sorted({node for nodes in found for node in nodes or ()}))


def _weakest(verdicts: Iterable[AgreedHealth]) -> Basis:
    found = {verdict.basis for verdict in verdicts}
    return next(basis for basis in (Basis.OWN, Basis.HELD, Basis.AGREED) if basis in found)


def _vote_rows(
    agreement: Agreement, targets: Iterable[TargetKey], at: Instant
) -> Iterator[VoteRow]:
    for target in targets:
        for node, site, vote, why_not in agreement.votes_known(target, at.mono):
            yield VoteRow(
                node=node,
                site=site,
                says=vote.says,
                code=vote.code,
                text=vote.text,
                since=render_optional(vote.since or None),
                counts=not why_not,
                why_not=why_not,
            )


async def show_nodes(request: web.Request) -> web.Response:
    control = request.app[STATE].control
    at, agreement = control.now(), control.health_map.agreement
    names = sorted({agreement.node, *agreement.peer_table.peers}) if agreement else []
    nodes = [await _node_row(agreement, name, at) for name in names if agreement]
    return json_response(
        NodesReport(
            time=render_timestamp(at.wall),
            node=control.node,
            quorum=agreement is not None,
            site=agreement.rules.site if agreement else "",
            votes=agreement is not None and agreement.rules.votes,
            targets={} if agreement is None else agreement.bases(),
            nodes=tuple(nodes),
        )
    )


async def _node_row(agreement: Agreement, node: str, at: Instant) -> NodeRow:
    peer = agreement.peer_table.peers.get(node)
    votes = dict(peer.votes) if peer else agreement.own_votes()
    up = outvoted = 0
    async for row in in_slices(list(votes)):
        up += votes[row].says is Health.UP
        outvoted += agreement.is_outvoted(row, votes[row])
    why_not = agreement.why_not(node, at.mono)
    return NodeRow(
        node=node,
        site=peer.voter.site if peer else agreement.rules.site,
        this=peer is None,
        age=peer.age(at.mono) if peer else 0.0,
        counts=not why_not,
        why_not=why_not,
        alike=peer is None or peer.voter.ballot == agreement.ballot,
        up=up,
        down=len(votes) - up,
        outvoted=outvoted,
    )
