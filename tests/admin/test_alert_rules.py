"""Every alert rule, tried by promtool: it fires in its scene, and is silent in others like it.

A scene is some series, in promtool's notation (`0+10x20`: 0, then 20 times 10 more), a sample every
30 s, and the moment at which one looks.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.admin.test_monitoring import ROOT, RULES, promtool

ROW = re.compile(r"^\| (`Dnslb.*?) \| \[.*\]\((#\S+)\) \|$", re.MULTILINE)
"""The alerts and the section of a row in the table of docs/operations.md."""

NODE = 'job="dnslb",instance="ns1"'
WWW = f'{NODE},zone="lb.example",name="www.lb.example",type="A"'

Series = dict[str, str]


class Scene(NamedTuple):
    at: str
    fires: Series
    silent: tuple[Series, ...]
    named: str = 'instance="ns1"'
    """Labels that the alert must have."""


def decided(**spans: str) -> Series:
    """A record's decisions; `stale` ends one, and `_` is before its begin."""
    return {f'dnslb_record_decision{{{WWW},decision="{kind}"}}': s for kind, s in spans.items()}


def of_record(**values: str) -> Series:
    return {f"dnslb_record_{name}{{{WWW}}}": each for name, each in values.items()}


def gauge(name: str, values: str, **labels: str) -> Series:
    more = "".join(f',{key}="{value}"' for key, value in labels.items())
    return {f"dnslb_{name}{{{NODE}{more}}}": values}


def lookups(**outcomes: str) -> Series:
    found: Series = {}
    for outcome, values in outcomes.items():
        found |= gauge("lookups_total", values, transport="unix", outcome=outcome)
    return found


def durations(name: str, limit: str, below: int) -> Series:
    """A histogram of 100 a sample, of which `below` are no longer than `limit`."""
    counts = {limit: below, "5": 100, "+Inf": 100}
    found: Series = {}
    for le, count in counts.items():
        found |= gauge(f"{name}_seconds_bucket", f"0+{count}x60", le=le)
    return found


ONE_FAULT = "0x8 1x50"

SCENES = {
    "DnslbDown": Scene(
        "5m",
        {f"up{{{NODE}}}": "1x4 0x10"},
        ({f"up{{{NODE}}}": "1x20"}, {f"up{{{NODE}}}": "1x8 0 1x10"},
         {'up{job="other",instance="ns1"}': "0x20"}),
    ),
    "DnslbNotReady": Scene(
        "5m",
        gauge("records_pending", "3x10"),
        (gauge("records_pending", "3x2 0x10"), gauge("records_pending", "0x7 3x10")),
    ),
    "DnslbNoAnswer": Scene(
        "3m",
        decided(serve="1 stale", nodata="_ 1x10"),
        (decided(serve="1x10"), decided(nodata="1 stale", serve="_ 1x10"),
         decided(pending="1x10"), decided(serve="1x5 stale", nodata="_x6 1x9")),
        'name="www.lb.example",decision="nodata"',
    ),
    "DnslbNoHealthyMember": Scene(
        "3m",
        decided(serve="1 stale", all="_ 1x10"),
        (decided(serve="1x10"), decided(pending="1x10"),
         decided(fallback="1x3 stale", serve="_x4 1x10")),
        'name="www.lb.example",decision="all"',
    ),
    "DnslbPanic": Scene(
        "3m",
        decided(serve="1 stale", panic="_ 1x10"),
        (decided(serve="1x10"), decided(panic="1x3 stale", serve="_x4 1x10")),
        'name="www.lb.example",decision="panic"',
    ),
    "DnslbLastHealthyMember": Scene(
        "10m",
        of_record(members="3x20", members_up="3x2 1x20"),
        (of_record(members="1x20", members_up="1x20"),
         of_record(members="3x20", members_up="2x20"),
         of_record(members="3x20", members_up="2x15 1x5")),
        'name="www.lb.example"',
    ),
    "DnslbLookupFaults": Scene(
        "10m",
        lookups(found="0+95x30", servfail="0+5x30"),
        (lookups(found="0+95x30", servfail=ONE_FAULT), lookups(found="0x30", servfail=ONE_FAULT),
         lookups(found="0+9999x30", servfail="0+1x30"), lookups(found="0x30", servfail="0x30")),
        'instance="ns1",transport="unix"',
    ),
    "DnslbLookupsSlow": Scene(
        "15m",
        durations("lookup_duration", "0.01", 90),
        (durations("lookup_duration", "0.01", 100),),
    ),
    "DnslbMembersDown": Scene(
        "15m",
        gauge("members", "2x40", health="DOWN"),
        (gauge("members", "2x40", health="UP"), gauge("members", "0x20 2x20", health="DOWN")),
    ),
    "DnslbFlapping": Scene(
        "5m",
        of_record(members_flapping="0x5 1x10"),
        # Many members that leave at once and come back.
        ({**of_record(members_flapping="0x10"),
          **gauge("transitions_total", "0+60x10", health="DOWN")},),
        'name="www.lb.example"',
    ),
    "DnslbStale": Scene(
        "5m",
        gauge("targets_stale", "1x10"),
        (gauge("targets_stale", "0x10"), gauge("targets_stale", "0x9 1")),
    ),
    "DnslbHostsOverdue": Scene(
        "5m",
        gauge("hosts_overdue", "1x10"),
        (gauge("hosts_overdue", "0x10"), gauge("hosts_overdue", "0x9 1")),
    ),
    "DnslbCertificateExpires": Scene(
        "10m",
        of_record(certificate_expiry_timestamp_seconds=f"{13 * 86400}x20"),
        (of_record(certificate_expiry_timestamp_seconds=f"{15 * 86400}x20"),
         of_record(certificate_expiry_timestamp_seconds=f"{13 * 86400}x5 {90 * 86400}x15")),
        'name="www.lb.example"',
    ),
    "DnslbBrakeEngaged": Scene(
        "2m", gauge("brake_engaged", "0 1x10"), (gauge("brake_engaged", "0x10"),)
    ),
    "DnslbOverrideForgotten": Scene(
        "1d1h",
        gauge("overrides", "1x3200", action="drain"),
        (gauge("overrides", "1x2700 0x500", action="drain"),
         gauge("overrides", "0x500 1x2700", action="drain")),
        'instance="ns1",action="drain"',
    ),
    "DnslbErrors": Scene(
        "6m",
        gauge("errors_total", "0x5 1x20", component="check"),
        (gauge("errors_total", "7x20", component="check"),),
        'instance="ns1",component="check"',
    ),
    "DnslbReloadRefused": Scene(
        "2m", gauge("last_reload_ok", "1 0x10"), (gauge("last_reload_ok", "1x10"),)
    ),
    "DnslbSchedulerLate": Scene(
        "15m",
        durations("scheduler_lag", "1", 90),
        (durations("scheduler_lag", "1", 100),),
    ),
    "DnslbEventLoopDelayed": Scene(
        "15m",
        durations("event_loop_delay", "0.25", 90),
        (durations("event_loop_delay", "0.25", 100),),
    ),
    "DnslbRestarting": Scene(
        "20m",
        gauge("start_time_seconds", "1x5 2x5 3x5 4x5 5x30"),
        (gauge("start_time_seconds", "1x5 2x5 3x5 4x40"),),
    ),
    "DnslbFileDescriptors": Scene(
        "10m",
        gauge("process_open_fds", "90x30") | gauge("process_max_fds", "100x30"),
        (gauge("process_open_fds", "70x30") | gauge("process_max_fds", "100x30"),),
    ),
    "DnslbPurgeFailing": Scene(
        "10m",
        gauge("purge_failures_total", "0+5x30"),
        # One that was repeated and confirmed, at any moment before.
        (gauge("purge_failures_total", "0x12 1x30"), gauge("purge_failures_total", "0x17 1x30")),
    ),
    "DnslbMirrorDown": Scene(
        "5m",
        gauge("mirror_up", "1 0x20", store="mariadb"),
        (gauge("mirror_up", "1x20", store="mariadb"),
         gauge("mirror_up", "1x8 0x20", store="mariadb")),
        'instance="ns1",store="mariadb"',
    ),
    "DnslbMirrorBehind": Scene(
        "10m",
        gauge("mirror_lag_seconds", "61x30"),
        (gauge("mirror_lag_seconds", "59x30"), gauge("mirror_lag_seconds", "0x18 61x10")),
    ),
    "DnslbRowsUnsupported": Scene(
        "5m",
        gauge("unsupported_rows", "0 2x20", store="mariadb", table="lb_override"),
        (gauge("unsupported_rows", "0x20", store="mariadb", table="lb_override"),
         gauge("unsupported_rows", "2x20", store="local", table="lb_override"),
         gauge("unsupported_rows", "0x9 2x20", store="mariadb", table="lb_override")),
        'instance="ns1",store="mariadb",table="lb_override"',
    ),
    "DnslbSchemaNewer": Scene(
        "2h",
        gauge("newer_schema", "6x300", store="mariadb"),
        (gauge("newer_schema", "0x300", store="mariadb"),
         gauge("newer_schema", "6x300", store="local"),
         gauge("newer_schema", "6x60 0x240", store="mariadb"),
         gauge("newer_schema", "0x200 6x100", store="mariadb")),
        'instance="ns1",store="mariadb"',
    ),
    "DnslbQuorumLost": Scene(
        "5m",
        gauge("quorum_targets", "5x20", basis="agreed")
        | gauge("quorum_targets", "3x20", basis="held")
        | gauge("quorum_targets", "0x20", basis="own"),
        (gauge("quorum_targets", "8x20", basis="agreed")
         | gauge("quorum_targets", "0x20", basis="held"),
         gauge("quorum_targets", "0x9 3x1 0x10", basis="own")),
    ),
    "DnslbOutvoted": Scene(
        "20m",
        gauge("quorum_outvoted", "2x60") | gauge("quorum_targets", "10x60", basis="agreed"),
        (gauge("quorum_outvoted", "1x60") | gauge("quorum_targets", "10x60", basis="agreed"),
         gauge("quorum_outvoted", "0x39 9x2 0x19")
         | gauge("quorum_targets", "10x60", basis="agreed")),
    ),
    "DnslbVoterMissing": Scene(
        "20m",
        gauge("quorum_nodes", "3x60") | gauge("quorum_voters", "2x60"),
        (gauge("quorum_nodes", "3x60") | gauge("quorum_voters", "3x60"),
         gauge("quorum_nodes", "3x60") | gauge("quorum_voters", "3x38 2x2 3x20")),
    ),
    "DnslbNotificationsFailing": Scene(
        "10m",
        gauge("notification_failures_total", "0+1x30", receiver="chat"),
        (gauge("notification_failures_total", "3x30", receiver="chat"),
         gauge("notifications_total", "0+1x30", receiver="chat", outcome="sent")),
        'instance="ns1",receiver="chat"',
    ),
}  # fmt: skip


def tried(at: str, series: Series, expected: dict[str, int]) -> dict[str, object]:
    """One test of promtool: how many series each of these expressions has, and no other alert."""
    return {
        "interval": "30s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f"count({expression})",
                "eval_time": at,
                "exp_samples": [{"labels": "{}", "value": count}] if count else [],
            }
            for expression, count in expected.items()
        ],
    }


def firing(labels: str = "") -> str:
    return f'ALERTS{{alertstate="firing"{"," if labels else ""}{labels}}}'


async def promtool_agrees(folder: Path, *tests: dict[str, object]) -> None:
    path = folder / "tests.yml"
    document = {"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": tests}
    await asyncio.to_thread(path.write_text, json.dumps(document))
    assert "SUCCESS" in await promtool("test", "rules", str(path))


def test_every_alert_has_its_scene() -> None:
    alerts = re.findall(r"^ +- alert: (\w+)$", RULES.read_text(), flags=re.MULTILINE)
    assert sorted(alerts) == sorted(SCENES)


@pytest.mark.parametrize("alert", SCENES)
async def test_an_alert_fires_in_its_scene_and_no_other_does(alert: str, tmp_path: Path) -> None:
    scene = SCENES[alert]
    expected = {firing(): 1, firing(f'alertname="{alert}",{scene.named}'): 1}
    await promtool_agrees(tmp_path, tried(scene.at, scene.fires, expected))


@pytest.mark.parametrize("alert", SCENES)
async def test_an_alert_is_silent_in_scenes_like_its_own(alert: str, tmp_path: Path) -> None:
    at, neighbours = SCENES[alert].at, SCENES[alert].silent
    await promtool_agrees(tmp_path, *(tried(at, series, {firing(): 0}) for series in neighbours))


@pytest.mark.parametrize("decision", ["panic", "fallback", "all", "last", "nodata", "servfail"])
async def test_every_decision_but_serve_wakes_people(decision: str, tmp_path: Path) -> None:
    series = decided(**{decision: "1x10"})
    critical = firing(f'severity="critical",decision="{decision}"')
    await promtool_agrees(tmp_path, tried("3m", series, {critical: 1}))


async def test_a_change_from_one_bad_decision_to_another_keeps_waking_people(
    tmp_path: Path,
) -> None:
    series = decided(nodata="1x5 stale", all="_x6 1x10")
    expected = {firing('alertname="DnslbNoHealthyMember"'): 1, firing(): 1}
    await promtool_agrees(tmp_path, tried("5m", series, expected))


def test_every_alert_leads_to_the_section_that_the_runbook_names() -> None:
    table = (ROOT / "docs/operations.md").read_text().partition("\n## ")[0]
    sections = {
        alert: anchor
        for alerts, anchor in ROW.findall(table)
        for alert in re.findall(r"`(\w+)`", alerts)
    }
    rules = re.split(r"^ +- alert: ", RULES.read_text(), flags=re.MULTILINE)[1:]
    named = {
        rule.split()[0]: match[1]
        for rule in rules
        if (match := re.search(r"runbook_url: docs/operations\.md(#\S+)$", rule, re.MULTILINE))
    }
    assert named == sections
