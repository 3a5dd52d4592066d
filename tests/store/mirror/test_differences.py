"""What nodes answer differently: read from the mirrors of several in one database."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.differences import FleetAnswers
from dnslb_backend.errors import ConflictError, StoreError
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.mariadb import MariaDB
from tests.rigs.waiting import until
from tests.store.farm import farm_record
from tests.store.test_persistence import A, B, C, Node, alive, three

SERVE = DecisionKind.SERVE


def told(found: FleetAnswers) -> dict[str, dict[str, tuple[DecisionKind | None, tuple[str, ...]]]]:
    """By record and node: its decision, and what everybody is given."""
    return {
        record.key.name: {
            answer.node: (answer.kind, answer.pools[0].contents if answer.pools else ())
            for answer in record.answers
        }
        for record in found.records
    }


async def test_nodes_are_compared_that_live(
    tmp_path: Path, settings: MysqlSettings, mariadb: MariaDB
) -> None:
    nodes = [
        Node(tmp_path / "1", settings, *three(), name="ns1"),
        Node(tmp_path / "2", settings, *three(), name="ns2"),
        Node(tmp_path / "3", settings, farm_record("www", A, B), name="ns3"),
    ]
    async with AsyncExitStack() as stack:
        for node in nodes:
            await stack.enter_async_context(alive(node))
            node.check("www", good=[A, B])
        for node in nodes[:2]:
            node.check("api", good=[C])

        async def differ(expected: object) -> bool:
            found = await nodes[0].persistence.differences()
            return found.nodes == ("ns1", "ns2", "ns3") and told(found) == expected

        api = {"ns1": (SERVE, (C,)), "ns2": (SERVE, (C,)), "ns3": (None, ())}
        await until(lambda: differ({"api.lb.example": api}), what="a record that ns3 lacks")
        nodes[1].check("www", bad=[A])
        www = {"ns1": (SERVE, (A, B)), "ns2": (SERVE, (B,)), "ns3": (SERVE, (A, B))}
        await until(
            lambda: differ({"api.lb.example": api, "www.lb.example": www}), what="ns2 to differ"
        )
        nodes[1].check("www", good=[A])
        await until(lambda: differ({"api.lb.example": api}), what="ns2 to agree again")
    long_ago = "UPDATE lb_node SET heartbeat = heartbeat - INTERVAL 1 HOUR WHERE node = 'ns3'"
    await mariadb.query(long_ago, database=settings.name)
    async with alive(nodes[0]):
        found = await nodes[0].persistence.differences()
        assert (found.nodes, found.records) == (("ns1", "ns2"), ())


async def test_without_a_database_there_is_nothing_to_compare(
    tmp_path: Path, settings: MysqlSettings
) -> None:
    alone = Node(tmp_path / "1", None, *three())
    async with alive(alone):
        with pytest.raises(ConflictError, match=r"no \[mysql\]"):
            await alone.persistence.differences()
    lost = Node(tmp_path / "2", settings.model_copy(update={"user": "nobody"}), *three())
    async with alive(lost, flush=False):
        with pytest.raises(StoreError, match="nobody"):
            await lost.persistence.differences()
