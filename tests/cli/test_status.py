"""`status`: the table, JSON, and what a terminal changes."""

import asyncio
import json
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path

import pytest

from dnslb_backend.admin.api.status import StatusReport
from dnslb_backend.cli.status_selection import WORST_FIRST
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.resolutions import Resolution, Status
from dnslb_backend.core.health.results import failed
from dnslb_backend.core.health.service import Service
from dnslb_backend.core.model.records import AllDown, Dest, Policy, RecordKey
from dnslb_backend.core.model.rules import Damping, Thresholds
from tests.admin.node import BROKEN, OK, Node
from tests.cli.command import line, run, run_afresh, run_on_terminal
from tests.core.building import KEY, ZONE, at, record
from tests.rigs.ports import free_port
from tests.rigs.waiting import exit_code


async def test_a_line_a_member(config: Path, node: Node) -> None:
    node.round({"10.0.0.1": OK, "10.0.0.2": BROKEN, "10.0.0.3": OK})
    node.clock = 3600
    ended = await run("status", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "ns1  dnslb-backend 1.2.3, up 1h00m, ready",
        "1 record: 1 serving; 3 members: 2 UP, 1 DOWN",
        "",
        "www.lb.example A: 1 of 3 served, ttl 5 s",
        "  10.0.0.1 UP   served p2      59m 200 OK",
        "  10.0.0.2 DOWN -      p2      59m 503 Service Unavailable",
        "  10.0.0.3 UP   -      p1      59m standby (priority 2 is serving)",
    ]


NODE_TROUBLE: list[tuple[str, object, str]] = [
    (
        "brake",
        {"held": 3, "silent_for": 75.2, "spent": False},
        "BRAKE: no canary has answered for 1m, 3 DOWN held",
    ),
    (
        "purge",
        {"channels": 0, "advice": "caches must be 0"},
        "PURGE: off, no [pdns] channel is configured: caches must be 0",
    ),
    (
        "purge",
        [{"channel": "/run/c", "error": "EPERM", "unpurged": 3, "oldest": 9.1}],
        "PURGE: /run/c failing, 3 to purge for 9s: EPERM; PowerDNS may answer from its cache",
    ),
    (
        "mirror",
        {"is_volatile": True, "mirrors": []},
        "STORE: the local file cannot be used, a restart loses the state of this node",
    ),
    (
        "mirror",
        {
            "is_volatile": False,
            "mirrors": [
                {
                    "store": "mariadb",
                    "is_connected": False,
                    "lag": 70.0,
                    "backlog": 12,
                    "last_error": "gone away",
                    "duplicate_instance": None,
                }
            ],
        },
        "STORE: mariadb unavailable, 1m behind, 12 changes wait: gone away",
    ),
    (
        "mirror",
        {
            "is_volatile": False,
            "mirrors": [{"store": "d", "is_connected": True, "duplicate_instance": "a"}],
        },
        (
            "NODE NAME: another daemon (instance a) uses it in d: "
            "give every daemon its own global.node"
        ),
    ),
    (
        "config",
        {"problem": "zones: bad", "problems": 3, "refused_for": 250.0},
        "CONFIG: running is not what is on disk, reload refused 4m ago: zones: bad (and 2 more)",
    ),
    ("geo", "not known, see the log", "GEO: not known, see the log"),
]


@pytest.mark.parametrize(("component", "detail", "line"), NODE_TROUBLE)
async def test_what_is_wrong_with_the_node_follows_the_headline(
    config: Path, node: Node, component: str, detail: object, line: str
) -> None:
    node.parts[component] = lambda: detail
    lines = (await run("status", "-c", str(config))).out.partition("\n\n")[0].splitlines()
    assert lines[0].endswith("ready")
    assert " ".join(lines[1:-1]) == line
    assert max(map(len, lines)) <= 80


async def test_stale_members_are_counted_below_the_headline(config: Path, node: Node) -> None:
    node.wait(1000)
    lines = (await run("status", "-c", str(config))).out.splitlines()
    assert lines[1] == "STALE: 3 members have no recent result and are served as before"


async def test_only_one_name(config: Path, node: Node) -> None:
    other = RecordKey(ZONE, f"api.{ZONE}", "A")
    node.adopt(record("10.0.0.1"), record("10.0.0.9", key=other))
    for name in ("api", "API.lb.example", "a*"):
        ended = await run("status", name, "-c", str(config))
        assert ended.code == 0
        assert "10.0.0.9" in ended.out
        assert "10.0.0.1 " not in ended.out


async def test_only_the_members_with_a_label(config: Path, node: Node) -> None:
    labelled = Dest("10.0.0.9", is_literal=True, labels=("dc=fra",))
    node.adopt(replace(record("10.0.0.1"), dests=(*record("10.0.0.1").dests, labelled)))
    ended = await run("status", "--label", "dc=fra", "-c", str(config))
    assert ended.code == 0
    assert "10.0.0.9" in ended.out
    assert "10.0.0.1 " not in ended.out
    ended = await run("status", "--label", "dc=ams", "-c", str(config))
    assert (ended.code, ended.err) == (1, "no member with the label dc=ams\n")


async def test_a_glob_that_matches_nothing_is_a_failure(config: Path) -> None:
    ended = await run("status", "x*", "-c", str(config))
    assert ended.code == 1
    assert ended.err == "no such record: x*\n"


async def test_json_is_what_the_daemon_said(config: Path) -> None:
    ended = await run("status", "--json", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert StatusReport.model_validate_json(ended.out).node == "ns1"


async def test_all_pages_are_shown(config: Path, node: Node) -> None:
    keys = [RecordKey(ZONE, f"n{number:04}.{ZONE}", "A") for number in range(2001)]
    node.adopt(*(record("10.0.0.1", "10.0.0.2", key=key) for key in keys))
    node.freeze()
    ended = await run("status", "--json", "-c", str(config))
    report = StatusReport.model_validate_json(ended.out)
    assert [row.name for row in report.records] == [key.name for key in keys]
    assert (len(report.members), report.cursor) == (4002, None)
    ended = await run("status", "-c", str(config))
    assert ended.out.splitlines()[1].startswith("2001 records: 2001 pending; 4002 members: ")


LONG = RecordKey(ZONE, f"{'a-rather-long-label.' * 5}{ZONE}", "AAAA")
SIX = "2001:db8:1234:5678:9abc:def0:1234:5678"


@pytest.mark.parametrize("terminal", [False, True])
async def test_nothing_is_wider_than_80_columns_and_nothing_is_cut(
    config: Path, node: Node, terminal: bool
) -> None:
    node.adopt(record(SIX, "10.0.0.1@-100000", key=LONG))
    node.round({SIX: failed(7, "word " * 40 + "last-word"), "10.0.0.1": OK}, LONG)
    order = Override("1", SIX, Action.DRAIN, reason="a reason " * 20 + "theend", created=1.0)
    node.health_map.set_overrides([order], at(5))
    if terminal:
        out = await run_on_terminal("status", "-c", str(config), NO_COLOR="1")
    else:
        out = (await run("status", "-c", str(config))).out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    for text in (SIX, "theend", "DRAINED (DOWN)", "p-100000"):
        assert text in out
    assert LONG.name in out.replace("\r", "").replace("\n", "")


def many(node: Node) -> None:
    """A record of every kind of service, in the order of their names the best first."""
    names = (
        "a-fine",
        "b-drained",
        "c-degraded",
        "d-all",
        "e-fallback",
        "f-none",
        "g-fail",
        "h-new",
    )
    keys = {name: RecordKey(ZONE, f"{name}.{ZONE}", "A") for name in names}
    hosts = {name: f"10.1.{number}." for number, name in enumerate(names)}
    records = {name: record(f"{hosts[name]}1", f"{hosts[name]}2", key=keys[name]) for name in names}
    records["d-all"] = replace(records["d-all"], all_down=AllDown.ALL)
    records["g-fail"] = replace(records["g-fail"], all_down=AllDown.SERVFAIL)
    records["e-fallback"] = record(
        f"{hosts['e-fallback']}1", key=keys["e-fallback"], fallback=("192.0.2.9",)
    )
    node.adopt(*records.values())
    for name in names[:-1]:
        up = {"a-fine": 2, "b-drained": 2, "c-degraded": 1}.get(name, 0)
        members = [member.address for member in node.health_map.records[keys[name]].members]
        node.round(
            {each: OK if index < up else BROKEN for index, each in enumerate(members)}, keys[name]
        )
    drain = Override("1", "10.1.1.1", Action.DRAIN, author="alice", created=at(0).wall)
    node.health_map.set_overrides([drain], at(5))


def heads(out: str) -> list[str]:
    return [line.partition(".")[0] for line in out.splitlines() if f".{ZONE} A: " in line]


def test_every_service_but_serving_has_its_place_in_the_order() -> None:
    assert sorted((*WORST_FIRST, Service.SERVING)) == sorted(Service)


async def test_the_worst_record_is_first(config: Path, node: Node) -> None:
    many(node)
    out = (await run("status", "-c", str(config))).out
    assert heads(out) == [
        *("g-fail", "h-new", "f-none", "e-fallback", "d-all", "c-degraded", "b-drained", "a-fine")
    ]
    assert out.splitlines()[1:3] == [
        "8 records: 1 SERVFAIL, 1 pending, 1 no answer, 1 fallback, 1 serving DOWN",
        "members, 3 serving; 15 members: 8 DOWN, 4 UP, 2 UNKNOWN, 1 DRAINED",
    ]


@pytest.mark.parametrize(
    ("switches", "shown"),
    [
        (("--problems",), "g-fail h-new f-none e-fallback d-all c-degraded b-drained"),
        (("--down",), "g-fail f-none e-fallback d-all c-degraded"),
        (
            ("--zone", "LB.example."),
            "g-fail h-new f-none e-fallback d-all c-degraded b-drained a-fine",
        ),
        (("a-*", "--problems"), ""),
        (("a-*", "--down"), ""),
    ],
)
async def test_only_what_is_asked_for(
    config: Path, node: Node, switches: tuple[str, ...], shown: str
) -> None:
    many(node)
    ended = await run("status", *switches, "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert heads(ended.out) == shown.split()
    if "--down" in switches:
        members = [line for line in ended.out.splitlines() if line.startswith("  10.1.")]
        assert all(" DOWN " in line for line in members)
        assert shown or ended.out.endswith("\n\nno member is DOWN\n")
    elif not shown:
        assert ended.out.endswith("\n\nno problems\n")
    report = json.loads((await run("status", *switches, "--json", "-c", str(config))).out)
    assert [row["name"].partition(".")[0] for row in report["records"]] == shown.split()


async def test_a_zone_without_records_is_a_failure(config: Path) -> None:
    ended = await run("status", "--zone", "other.example", "-c", str(config))
    assert (ended.code, ended.err) == (1, "no balanced record in zone other.example\n")


async def test_columns_fit_80_and_use_140(config: Path, node: Node) -> None:
    cdn = "d111111abcdef8.cdn-provider-two.example."
    alias = record("10.0.0.9@3", key=RecordKey(ZONE, f"cdn.{ZONE}", "CNAME"))
    node.adopt(record("10.0.0.1"), replace(alias, dests=(replace(alias.dests[0], content=cdn),)))
    node.round({"10.0.0.1": OK})
    node.round({"10.0.0.9": failed(7, "timed out")}, alias.key)
    narrow = await run("status", "-c", str(config))
    assert narrow.out.splitlines()[3:] == [
        "cdn.lb.example CNAME: no answer, 0 of 1 served, ttl 5 s",
        "  d111111abcdef8.cdn-provider-two.example.",
        "           DOWN -      p3       0s timed out",
        "",
        "www.lb.example A: 1 of 1 served, ttl 5 s",
        "  10.0.0.1 UP   served p1       0s 200 OK",
    ]
    wide = await run_afresh("status", "-c", str(config), COLUMNS="140")
    assert wide.out.splitlines()[3:] == [
        "cdn.lb.example CNAME: no answer, 0 of 1 served, ttl 5 s",
        "  d111111abcdef8.cdn-provider-two.example. DOWN -      p3       0s timed out",
        "",
        "www.lb.example A: 1 of 1 served, ttl 5 s",
        f"  {'10.0.0.1':<40} UP   served p1       0s 200 OK",
    ]


async def test_weight_and_policy_are_shown_where_they_matter(config: Path, node: Node) -> None:
    canary = RecordKey(ZONE, f"canary.{ZONE}", "A")
    plain = record("10.0.0.1", "10.0.0.2", key=canary)
    dests = (replace(plain.dests[0], weight=95), replace(plain.dests[1], weight=5))
    node.adopt(record("10.0.0.3"), replace(plain, dests=dests, policy=Policy.WEIGHTED))
    node.round({"10.0.0.1": OK, "10.0.0.2": OK}, canary)
    node.round({"10.0.0.3": OK})
    assert (await run("status", "-c", str(config))).out.splitlines()[3:] == [
        f"canary.{ZONE} A: 2 of 2 served, policy weighted, ttl 5 s",
        "  10.0.0.1 UP served p1   w95      0s 200 OK",
        "  10.0.0.2 UP served p1   w5       0s 200 OK",
        "",
        f"www.{ZONE} A: 1 of 1 served, ttl 5 s",
        "  10.0.0.3 UP served p1            0s 200 OK",
    ]


async def test_an_override_shows_its_author_age_and_end(config: Path, node: Node) -> None:
    for target, author, reason, expires in (
        ("10.0.0.1", "alice", "INC-4711", at(7205).wall),
        ("10.0.0.2", "", "", None),
    ):
        order = Override(
            target,
            target,
            Action.DRAIN,
            author=author,
            reason=reason,
            created=at(0).wall,
            expires=expires,
        )
        node.health_map.set_overrides([*node.health_map.overrides, order], at(1))
    node.clock = 60
    out = (await run("status", "-c", str(config))).out
    assert (
        " ".join(out.split())
        .partition("10.0.0.1 ")[2]
        .startswith(
            "DRAINED (UP) - p2 59s by alice 1m ago, ends in 1h59m: INC-4711 "
            "10.0.0.2 DRAINED (UP) - p2 59s 1m ago, no end "
        )
    )


async def test_watching_says_what_it_cuts(config: Path, node: Node) -> None:
    keys = [RecordKey(ZONE, f"r{number:02}.{ZONE}", "A") for number in range(40)]
    node.adopt(*(record("10.0.0.1", key=key) for key in keys))
    watch = ("status", "--watch", "-c", str(config))
    out = await run_on_terminal(*watch, enough="more records", LINES="12", NO_COLOR="1")
    assert "… 37 more records; --problems shows the worst" in out
    assert "r02" in out
    assert "r03" not in out
    out = await run_on_terminal(*watch, "--problems", enough="more records", LINES="12")
    assert "--problems" not in out


async def test_colour_is_for_terminals(config: Path) -> None:
    assert "\x1b[" in await run_on_terminal("status", "-c", str(config))
    assert "\x1b[" not in await run_on_terminal("status", "-c", str(config), NO_COLOR="1")
    assert "\x1b[" not in (await run_afresh("status", "-c", str(config), TERM="xterm-256color")).out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("pending", ["not ready", "pending, 0 of 1 served", "UNKNOWN", "not checked yet"]),
        ("down", ["no answer, 0 of 3 served"]),
        ("view", ["views office: serving, others: no answer, 1 of 1 served"]),
        ("many", ["web.dc2.example: 1 addresses over max_addresses are ignored"]),
        ("fallback", ["fallback, 0 of 1 served", "192.0.2.9", "served unchecked"]),
        ("stale", ["STALE", "served", "no recent result"]),
        ("unresolved", ["web.dc2.example does not resolve: timed out"]),
    ],
)
async def test_trouble_is_said(config: Path, node: Node, change: str, words: list[str]) -> None:
    down = dict.fromkeys(["10.0.0.1", "10.0.0.2", "10.0.0.3"], BROKEN)
    match change:
        case "pending":
            node.adopt(record("10.0.0.9", key=RecordKey(ZONE, f"new.{ZONE}", "A")))
        case "down":
            node.round(down)
        case "view":
            item = record("10.0.0.1")
            node.adopt(replace(item, dests=(replace(item.dests[0], views=("office",)),)))
            node.round({"10.0.0.1": OK})
        case "many":
            node.adopt(replace(record("web.dc2.example"), max_addresses=1))
            answer = Resolution(Status.FOUND, ("10.0.0.1", "10.0.0.2"))
            node.health_map.record_resolution(KEY, "web.dc2.example", answer, at(5))
        case "fallback":
            node.adopt(record("10.0.0.1", fallback=("192.0.2.9",)))
            node.round({"10.0.0.1": BROKEN})
        case "stale":
            node.wait(1000)
        case _:
            node.adopt(record("10.0.0.1", "web.dc2.example"))
            answer = Resolution(Status.FAILED, text="timed out")
            node.health_map.record_resolution(KEY, "web.dc2.example", answer, at(5))
    ended = await run("status", "-c", str(config))
    assert ended.code == 0
    for word in words:
        assert word in ended.out


async def test_who_flaps_who_waits_and_whom_they_are_for(config: Path, node: Node) -> None:
    plain = record("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
    office = replace(plain.dests[2], views=("office", "dc2"))
    dests = (*plain.dests[:2], office, plain.dests[3])
    node.adopt(
        replace(plain, dests=dests, thresholds=Thresholds(damping=Damping(flips=3)), failback=60)
    )
    node.settle()
    for result in (BROKEN, OK, BROKEN, OK):
        node.hear("10.0.0.1", result)
    for result in (BROKEN, OK):
        node.hear("10.0.0.2", result)
    node.health_map.decide_marked()
    lines = (await run("status", "-c", str(config))).out.splitlines()
    first, second, third, _ = (line for line in lines if line.startswith("  10.0.0."))
    assert first.split()[1] == "FLAPPING"
    assert second.split()[1] == "WAITING"
    assert third.endswith("for office, dc2: 200 OK")
    assert max(map(len, lines)) <= 80


async def test_watching_shows_it_anew_until_it_is_ended(config: Path) -> None:
    out = await run_on_terminal("status", "--watch", "-c", str(config), enough="10.0.0.3")
    assert "10.0.0.1" in out


async def test_watching_what_is_not_there_fails_at_once() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert (await run("status", "--watch", "--admin", nobody)).code == 1


async def test_hostile_text_does_not_reach_the_terminal(config: Path, node: Node) -> None:
    node.round({"10.0.0.1": failed(1, "\x1b]0;owned\x07[red]x[/red] \x9b31m"), "10.0.0.2": OK})
    assert node.health_map.records[KEY].rows
    out = await run_on_terminal("status", "-c", str(config), NO_COLOR="1")
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\x9b" not in out
    assert "[red]x[/red]" in out


async def test_a_reader_that_leaves_early_gets_no_traceback(config: Path, node: Node) -> None:
    keys = [RecordKey(ZONE, f"r{n}.{ZONE}", "A") for n in range(3000)]
    node.adopt(*(record("10.0.0.1", key=key) for key in keys))
    process = await asyncio.create_subprocess_exec(
        *line("status", "-c", str(config)),
        stdout=PIPE,
        stderr=PIPE,
        limit=100,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.readline()
    process.stdout._transport.close()  # type: ignore[attr-defined]
    err = await process.stderr.read()
    await exit_code(process)
    assert err == b""
