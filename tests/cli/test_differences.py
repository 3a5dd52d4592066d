"""`status --all-nodes`: what nodes answer differently, for people."""

from pathlib import Path

import pytest

from dnslb_backend.admin.api.differences import DifferencesReport
from dnslb_backend.core.health.decision import DecisionKind, Pool
from dnslb_backend.core.health.differences import DifferingRecord, FleetAnswers, NodeAnswer
from dnslb_backend.core.health.service import Service
from tests.admin.node import Node
from tests.cli.command import run
from tests.core.building import KEY

BOTH = (Pool("", ("192.0.2.1", "192.0.2.2"), (3, 1)), Pool("fra", ("192.0.2.2",), ()))
ONE = (Pool("", ("192.0.2.2",), ()), Pool("fra", (), ()))


def differing() -> FleetAnswers:
    answers = (
        NodeAnswer("ns1", DecisionKind.SERVE, BOTH),
        NodeAnswer("ns2", DecisionKind.SERVE, ONE),
        NodeAnswer("ns3", DecisionKind.SERVE, BOTH),
        NodeAnswer("ns4", None),
        NodeAnswer("ns5", DecisionKind.NODATA, (Pool("", (), ()),)),
    )
    names = tuple(answer.node for answer in answers)
    return FleetAnswers(names, (DifferingRecord(KEY, answers),), is_cut=True)


async def test_each_answer_once_behind_the_nodes_that_give_it(config: Path, node: Node) -> None:
    node.compared = differing()
    ended = await run("status", "--all-nodes", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "5 nodes compared: ns1, ns2, ns3, ns4, ns5",
        "",
        "www.lb.example A",
        "  ns1, ns3",
        "      serving: 192.0.2.1 w3, 192.0.2.2 w1; fra: 192.0.2.2",
        "  ns2",
        "      serving: 192.0.2.2",
        "  ns4",
        "      has no such record",
        "  ns5",
        "      no answer: nothing",
        "",
        "There are more records that differ.",
    ]
    as_json = await run("status", "--all-nodes", "--json", "-c", str(config))
    report = DifferencesReport.model_validate_json(as_json.out)
    assert report.more
    (record,) = report.records
    assert (record.name, record.type) == ("www.lb.example", "A")
    assert [answer.service for answer in record.answers] == [
        *[Service.SERVING] * 3,
        None,
        Service.NO_ANSWER,
    ]


async def test_all_may_answer_alike(config: Path, node: Node) -> None:
    node.compared = FleetAnswers(("ns1",), (), is_cut=False)
    ended = await run("status", "--all-nodes", "-c", str(config))
    assert ended.out == "1 node compared: ns1\nAll answer alike.\n"


@pytest.mark.parametrize("switch", [("www",), ("--zone", "lb.example"), ("--down",), ("--watch",)])
async def test_nothing_is_selected_of_it(config: Path, switch: tuple[str, ...]) -> None:
    ended = await run("status", "--all-nodes", *switch, "-c", str(config))
    assert ended.code == 2
    assert "--all-nodes goes with --json alone" in ended.err


async def test_without_a_database_it_says_so(config: Path) -> None:
    ended = await run("status", "--all-nodes", "-c", str(config))
    assert ended.code == 1
    assert "no [mysql]" in ended.err
