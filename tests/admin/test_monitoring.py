"""The dashboard and the alert rules under configs/: they parse, and every metric exists."""

import asyncio
import json
import re
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.admin.api.metrics import count_health
from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.model.quorum import QuorumRules
from dnslb_backend.metrics import REGISTRY
from tests.admin.node import Node
from tests.core.building import at
from tests.rigs.server import executable

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "configs/prometheus/dnslb.rules.yml"
DASHBOARD = ROOT / "configs/grafana/dnslb.json"

SUFFIXES = {"counter": ["_total"], "info": ["_info"], "histogram": ["_bucket", "_count", "_sum"]}


def voter() -> Node:
    """A node of a fleet, which has every metric."""
    return Node(agreement=Agreement("ns1", QuorumRules("ns1"), at(0)))


async def known() -> set[str]:
    """The name of every series that /metrics can hold."""
    families = [*await count_health(voter()), *REGISTRY.collect()]
    return {
        f"{family.name}{suffix}"
        for family in families
        for suffix in SUFFIXES.get(family.type, [""])
    }


def named(text: str) -> set[str]:
    return set(re.findall(r"\bdnslb_[a-z0-9_]+", text))


async def promtool(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        executable("promtool"), *arguments, stdout=PIPE, stderr=STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> Iterator[str]:
    for panel in panels():
        for target in panel.get("targets", []):
            yield target["expr"]
    for annotation in json.loads(DASHBOARD.read_text())["annotations"]["list"]:
        yield annotation["expr"]


@pytest.mark.parametrize("path", [RULES, DASHBOARD], ids=lambda path: path.name)
async def test_every_metric_that_is_named_exists(path: Path) -> None:
    text = await asyncio.to_thread(path.read_text)
    assert named(text) - await known() == set()


async def test_every_metric_can_be_seen() -> None:
    """Whatever is worth counting is on the dashboard, or has an alert."""
    text = await asyncio.to_thread(lambda: RULES.read_text() + DASHBOARD.read_text())
    shown = named(text)
    unseen = {
        family.name
        for family in [*await count_health(voter()), *REGISTRY.collect()]
        if not any(name.startswith(family.name) for name in shown)
    }
    detail = {
        "dnslb_process_start_time_seconds",
        "dnslb_process_virtual_memory_bytes",
        "dnslb_record_members",
    }
    assert unseen - detail == {"dnslb_event_clients_dropped", "dnslb_records_held"}


async def test_the_rules_are_rules() -> None:
    assert "SUCCESS" in await promtool("check", "rules", str(RULES))


async def test_the_expressions_of_the_dashboard_are_expressions(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"panel:{number}",
            "expr": expression.replace("$__rate_interval", "5m")
            .replace("$instance", ".*")
            .replace("$record", ".*"),
        }
        for number, expression in enumerate(expressions())
    ]
    path = tmp_path / "panels.yml"
    text = json.dumps({"groups": [{"name": "panels", "rules": rules}]})
    await asyncio.to_thread(path.write_text, text)
    assert f"SUCCESS: {len(rules)} rules" in await promtool("check", "rules", str(path))


def test_the_dashboard_can_be_imported() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert variables == {"datasource", "instance", "record"}
    places = [
        (x, y)
        for panel in panels()
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places)), "panels overlap"
    assert max(x for x, _ in places) < 24
    for panel in panels():
        assert panel["title"]
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}"
            assert "$instance" in target["expr"]


def unit_of(expression: str) -> str:
    """Of a series: a time, a rate, or a number."""
    if re.search(r"_seconds(_bucket)?\{", expression):
        return "time"
    return "rate" if "rate(" in expression else "number"


def test_series_of_another_unit_have_an_axis_of_their_own() -> None:
    for panel in panels():
        first, *others = (
            unit_of(target["expr"]) for target in panel.get("targets", [{"expr": ""}])
        )
        placed = {
            each["matcher"]["options"]
            for each in panel.get("fieldConfig", {}).get("overrides", [])
            if {"id": "custom.axisPlacement", "value": "right"} in each["properties"]
        }
        odd = {chr(ord("B") + n) for n, unit in enumerate(others) if unit != first}
        assert odd <= placed, panel["title"]


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    text = RULES.read_text()
    alerts = re.split(r"^ +- alert: ", text, flags=re.MULTILINE)[1:]
    names = [alert.split()[0] for alert in alerts]
    assert len(names) == len(set(names))
    for alert in alerts:
        assert re.search(r"labels: \{severity: (critical|warning|info)\}", alert), alert
        assert "summary: " in alert
        assert "description: " in alert


WAITING = """\
rule_files: [{rules}]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - series: 'up{{job="dnslb",instance="ns1"}}'
        values: "1x4 0x10"
      - series: 'dnslb_record_decision{{name="www",type="A",decision="nodata",instance="ns1"}}'
        values: "_x5 1x10"
      - series: 'dnslb_members{{health="DOWN",instance="ns1"}}'
        values: "0x4 1x50"
      - series: 'dnslb_notification_failures_total{{receiver="webhook",instance="ns1"}}'
        values: "0x4 1x50"
      - series: 'dnslb_notifications_total{{receiver="webhook",outcome="sent",instance="ns2"}}'
        values: "0x4 9x50"
      - series: 'dnslb_notifications_total{{receiver="command",outcome="dropped",instance="ns2"}}'
        values: "0x40 3x20"
    alert_rule_test:
      - {{alertname: DnslbNotificationsFailing, eval_time: 3m, exp_alerts: []}}
      - alertname: DnslbNotificationsFailing
        eval_time: 4m
        exp_alerts:
          - exp_labels: {{receiver: webhook, instance: ns1, severity: warning}}
            exp_annotations:
              runbook_url: docs/operations.md#a-receiver-is-not-notified
              summary: "ns1: a webhook of [notify] is not notified"
              description: The log names it and says why. Events are retried for max_age.
      - {{alertname: DnslbNotificationsFailing, eval_time: 15m, exp_alerts: []}}
      - alertname: DnslbNotificationsFailing
        eval_time: 22m
        exp_alerts:
          - exp_labels: {{receiver: command, instance: ns2, severity: warning}}
            exp_annotations:
              runbook_url: docs/operations.md#a-receiver-is-not-notified
              summary: "ns2: a command of [notify] is not notified"
              description: The log names it and says why. Events are retried for max_age.
      - {{alertname: DnslbDown, eval_time: 2m, exp_alerts: []}}
      - alertname: DnslbDown
        eval_time: 4m
        exp_alerts:
          - exp_labels: {{job: dnslb, instance: ns1, severity: critical}}
            exp_annotations:
              runbook_url: docs/operations.md#the-daemon-does-not-answer
              summary: ns1 cannot be scraped
              description: >-
                If the daemon does not run, its PowerDNS answers SERVFAIL for every balanced
                name. If `dnslb-backend ping` succeeds there, Prometheus is refused: check its
                token, [admin] allow and hosts.
      - {{alertname: DnslbNoAnswer, eval_time: 2m30s, exp_alerts: []}}
      - alertname: DnslbNoAnswer
        eval_time: 3m
        exp_alerts:
          - exp_labels:
              {{name: www, type: A, decision: nodata, instance: ns1, severity: critical}}
            exp_annotations:
              runbook_url: docs/operations.md#all-targets-of-a-name-are-down
              summary: "www A: clients get no answer (nodata)"
              description: No member may serve. `dnslb-backend status www` shows why.
      - {{alertname: DnslbMembersDown, eval_time: 10m, exp_alerts: []}}
      - alertname: DnslbMembersDown
        eval_time: 13m
        exp_alerts:
          - exp_labels: {{health: DOWN, instance: ns1, severity: warning}}
            exp_annotations:
              runbook_url: docs/operations.md#all-targets-of-a-name-are-down
              summary: "ns1: 1 members are down"
              description: "`dnslb-backend status` lists them."
"""


async def test_alerts_wait_as_long_as_they_say(tmp_path: Path) -> None:
    path = tmp_path / "tests.yml"
    await asyncio.to_thread(path.write_text, WAITING.format(rules=RULES))
    assert "SUCCESS" in await promtool("test", "rules", str(path))
