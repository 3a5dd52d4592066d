"""/metrics: the health map as figures, beside the instruments."""

import asyncio
import time
from dataclasses import replace

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from dnslb_backend.admin.api.label_series import OTHER_VALUES, VALUES_SHOWN
from dnslb_backend.admin.api.metrics import count_health, render_metrics
from dnslb_backend.admin.api.record_series import MOST_PROBLEMS
from dnslb_backend.admin.settings import AdminSettings, RecordMetrics
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.resolutions import Resolution, Status
from dnslb_backend.core.model.records import Record, RecordKey
from tests.admin.api.test_status import big
from tests.admin.node import BROKEN, OK, Node
from tests.core.building import KEY, ZONE, at, dest, record


async def scrape(session: aiohttp.ClientSession, accept: str = "") -> tuple[str, str]:
    async with session.get("/metrics", headers={"Accept": accept} if accept else {}) as response:
        assert response.status == 200
        return await response.text(), response.headers["Content-Type"]


async def figures(session: aiohttp.ClientSession) -> dict[str, float]:
    """Every sample as `name{label=value,...}`."""
    text, _ = await scrape(session)
    found = {}
    for family in parse_text(text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in found, "a series stands here once"
            found[key] = sample.value
    return found


async def test_health_is_counted(client: aiohttp.ClientSession, node: Node) -> None:
    before = await figures(client)
    assert before["dnslb_records_pending"] == 1
    assert before["dnslb_records{decision=pending}"] == 1
    assert before["dnslb_targets{health=UNKNOWN}"] == 3
    node.settle({"10.0.0.1": OK, "10.0.0.2": BROKEN, "10.0.0.3": OK})
    found = await figures(client)
    assert found["dnslb_records_pending"] == 0
    assert found["dnslb_records{decision=serve}"] == 1
    assert found["dnslb_targets{health=UP}"] == found["dnslb_members{health=UP}"] == 2
    assert found["dnslb_targets{health=DOWN}"] == 1
    assert found["dnslb_members_served"] == 1
    label = f"{{name={KEY.name},type=A,zone={ZONE}}}"
    assert found[f"dnslb_record_members{label}"] == 3
    assert found[f"dnslb_record_members_served{label}"] == 1
    assert found[f"dnslb_record_members_up{label}"] == 2
    assert decisions(before) == {"pending"}
    assert decisions(found) == {"serve"}
    assert found["dnslb_start_time_seconds"] == node.started


def decisions(found: dict[str, float]) -> set[str]:
    """The decisions that the series of the one record name; each is 1."""
    series = {key: value for key, value in found.items() if key.startswith("dnslb_record_decision")}
    assert set(series.values()) == {1.0}
    return {key.partition("{decision=")[2].partition(",")[0] for key in series}


async def test_a_drained_standby_is_no_healthy_member(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.settle()
    label = f"{{name={KEY.name},type=A,zone={ZONE}}}"
    assert (await figures(client))[f"dnslb_record_members_up{label}"] == 3
    order = Override("1", "10.0.0.3", Action.DRAIN, created=at(1).wall)
    node.health_map.set_overrides([order], at(node.clock))
    assert (await figures(client))[f"dnslb_record_members_up{label}"] == 2


async def test_a_member_that_flaps_is_counted_until_it_is_calm(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.settle()
    label = f"dnslb_record_members_flapping{{name={KEY.name},type=A,zone={ZONE}}}"
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        node.hear(address, BROKEN)
        node.hear(address, OK)
    for result in (BROKEN, OK, BROKEN):
        node.hear("10.0.0.1", result)
    node.health_map.take_changes()
    assert (await figures(client))[label] == 0
    node.hear("10.0.0.1", OK)
    node.health_map.take_changes()
    assert (await figures(client))[label] == 1
    node.clock += 901
    assert (await figures(client))[label] == 0


def labelled(*labels: str) -> Record:
    """A member for each of these labels."""
    dests = (
        replace(dest(f"10.0.{n >> 8}.{n & 255}"), labels=(label,)) for n, label in enumerate(labels)
    )
    return replace(record(), dests=tuple(dests))


async def labels_counted(node: Node, *keys: str) -> dict[str, float]:
    """The series of labels, by what is between their braces."""
    return {
        ",".join(
            f"{sample.labels[k]}" for k in ("label", "value", "health") if k in sample.labels
        ): sample.value
        for family in await count_health(node, keys)
        if family.name.startswith("dnslb_label")
        for sample in family.samples
    }


async def test_members_are_counted_by_the_labels_that_the_settings_name(node: Node) -> None:
    node.adopt(labelled("dc=fra", "dc=fra", "dc=ams", "rack=1"))
    node.settle({"10.0.0.0": OK, "10.0.0.1": BROKEN, "10.0.0.2": OK, "10.0.0.3": OK})
    assert await labels_counted(node) == {}
    assert await labels_counted(node, "dc", "row") == {
        "dc,fra,UP": 1, "dc,fra,DOWN": 1, "dc,fra,UNKNOWN": 0, "dc,fra": 1,
        "dc,ams,UP": 1, "dc,ams,DOWN": 0, "dc,ams,UNKNOWN": 0, "dc,ams": 1,
    }  # fmt: skip


async def test_labels_of_many_values_have_few_series(node: Node) -> None:
    node.adopt(labelled(*(f"host=h{n:03}" for n in range(150))))
    found = await labels_counted(node, "host")
    assert len(found) == 4 * (VALUES_SHOWN + 1)
    assert found["host,h099,UNKNOWN"] == 1
    assert "host,h100,UNKNOWN" not in found
    assert found[f"host,{OTHER_VALUES},UNKNOWN"] == 50


async def test_the_certificate_that_expires_first_counts(
    client: aiohttp.ClientSession, node: Node
) -> None:
    label = (
        f"dnslb_record_certificate_expiry_timestamp_seconds{{name={KEY.name},type=A,zone={ZONE}}}"
    )
    node.settle()
    assert label not in await figures(client)
    node.settle(
        {
            "10.0.0.1": OK._replace(certificate_expires=1_800_000_002.0),
            "10.0.0.2": BROKEN._replace(certificate_expires=1_800_000_001.0),
        }
    )
    assert (await figures(client))[label] == 1_800_000_001
    async with client.get("/api/v1/status") as response:
        rows = (await response.json())["members"]
    assert [row["certificate_expires"] for row in rows] == [
        "2027-01-15T08:00:02.000Z", "2027-01-15T08:00:01.000Z", None
    ]  # fmt: skip


async def test_a_fallback_is_no_member(client: aiohttp.ClientSession, node: Node) -> None:
    node.adopt(record("10.0.0.1", fallback=("192.0.2.9",)))
    node.settle({"10.0.0.1": BROKEN})
    found = await figures(client)
    assert found["dnslb_records{decision=fallback}"] == 1
    assert decisions(found) == {"fallback"}
    assert found[f"dnslb_record_members{{name={KEY.name},type=A,zone={ZONE}}}"] == 1
    assert found["dnslb_members_served"] == 0


async def test_staleness_overrides_and_resolving(client: aiohttp.ClientSession, node: Node) -> None:
    node.adopt(record("10.0.0.1", "web.dc2.example"))
    node.resolve("web.dc2.example", "10.0.0.7")
    node.settle({"10.0.0.1": OK, "10.0.0.7": OK})
    node.health_map.record_resolution(
        KEY, "web.dc2.example", Resolution(Status.FAILED), at(node.clock)
    )
    order = Override("1", "10.0.0.7", Action.DRAIN, created=at(1).wall)
    node.health_map.set_overrides([order], at(node.clock))
    found = await figures(client)
    assert (found["dnslb_targets_stale"], found["dnslb_hosts_overdue"]) == (0, 0)
    assert found["dnslb_overrides{action=drain}"] == 1
    assert found["dnslb_overrides{action=down}"] == 0
    node.wait(1000)
    found = await figures(client)
    assert (found["dnslb_targets_stale"], found["dnslb_hosts_overdue"]) == (2, 1)
    assert found["dnslb_members_served"] == 1, "it keeps its place"


@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        ("", False),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", False),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", False),
        ("application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5", True),
        ("application/openmetrics-text;version=x;escaping=\u00fc", True),
        ("nonsense", False),
    ],
)
async def test_formats(client: aiohttp.ClientSession, accept: str, is_openmetrics: bool) -> None:
    text, content_type = await scrape(client, accept)
    parse = parse_openmetrics if is_openmetrics else parse_text
    assert content_type.startswith(
        "application/openmetrics-text" if is_openmetrics else "text/plain"
    )
    names = [family.name for family in parse(text)]
    assert len(names) == len(set(names))
    assert all(name.startswith("dnslb_") for name in names)


async def with_series(node: Node, wanted: RecordMetrics) -> dict[str, set[str]]:
    """The names of the records that have series of each family, with their values."""
    settings = AdminSettings(record_metrics=wanted)
    response = await render_metrics(node, "", settings)
    families = parse_text(b"".join(response.pieces).decode())
    return {
        family.name.removeprefix("dnslb_record_"): {
            f"{sample.labels['name'].partition('.')[0]} {sample.value:g}"
            for sample in family.samples
        }
        for family in families
        if family.name.startswith("dnslb_record_")
    }


async def test_only_records_in_trouble_may_have_series(node: Node) -> None:
    keys = {
        name: RecordKey(ZONE, f"{name}.{ZONE}", "A")
        for name in ("well", "expiring", "gone", "partly", "drained", "flapping", "new")
    }
    hosts = {name: (f"10.0.{n}.1", f"10.0.{n}.2") for n, name in enumerate(keys)}
    node.adopt(*(record(*hosts[name], key=key) for name, key in keys.items()))
    for name, key in keys.items():
        days = 29 if name == "expiring" else 31
        ok = OK._replace(certificate_expires=at(0).wall + days * 86400)
        is_last_up = name not in ("gone", "partly")
        results = {hosts[name][0]: ok if name != "gone" else BROKEN}
        if name != "new":
            node.round(results | {hosts[name][1]: ok if is_last_up else BROKEN}, key)
    drain = Override("1", hosts["drained"][0], Action.DRAIN, created=at(1).wall)
    node.health_map.set_overrides([drain], at(node.clock))
    for _ in range(3):
        for result in (BROKEN, OK):
            node.hear(hosts["flapping"][0], result, keys["flapping"])
    node.health_map.take_changes()
    every = await with_series(node, "all")
    assert {line.partition(" ")[0] for line in every["members"]} == keys.keys()
    found = await with_series(node, "problems")
    assert found["members"] == {
        "expiring 2", "gone 2", "partly 2", "drained 2", "flapping 2"
    }  # fmt: skip
    assert found["members_flapping"] == {
        "expiring 0", "gone 0", "partly 0", "drained 0", "flapping 1"
    }  # fmt: skip
    assert {family: len(lines) for family, lines in found.items()} == {
        "members": 5, "members_served": 5, "members_up": 5, "members_flapping": 5,
        "decision": 5, "certificate_expiry_timestamp_seconds": 4,
    }  # fmt: skip
    assert (
        found["certificate_expiry_timestamp_seconds"]
        < every["certificate_expiry_timestamp_seconds"]
    )


async def test_trouble_everywhere_has_a_bounded_number_of_series() -> None:
    node = big(MOST_PROBLEMS + 10, 1)
    for key in list(node.health_map.records):
        for target in node.health_map.targets_of(key):
            node.health_map.record(node.health_map.observe(target, BROKEN, at(2)))
    node.health_map.take_changes()
    assert len((await with_series(node, "problems"))["members_up"]) == MOST_PROBLEMS
    assert len((await with_series(node, "all"))["members_up"]) == MOST_PROBLEMS + 10


@pytest.mark.usefixtures("no_collection")
async def test_metrics_of_many_records_leave_others_their_turn() -> None:
    """No lookup waits for more than a slice of it; CPU time, since others use the machine."""
    node = big(5000, 2)
    rendering = asyncio.create_task(render_metrics(node, "", AdminSettings()))
    turns, longest, began = 0, 0.0, time.thread_time()
    while not rendering.done():
        await asyncio.sleep(0)  # noqa: TID251 - the turns are what is counted
        longest = max(longest, (now := time.thread_time()) - began)
        began = now
        turns += 1
    assert sum(map(len, rendering.result().pieces)) > 1_000_000
    assert turns > 10
    assert longest < 0.05


async def test_names_with_any_character_can_be_read(
    client: aiohttp.ClientSession, node: Node
) -> None:
    odd = RecordKey(ZONE, f'a\\"b\\.c\\010.{ZONE}', "A")
    node.adopt(record("10.0.0.1", key=odd))
    found = await figures(client)
    assert f"dnslb_record_members{{name={odd.name},type=A,zone={ZONE}}}" in found


async def test_it_wants_what_reading_wants(stranger: aiohttp.ClientSession) -> None:
    async with stranger.get("/metrics") as response:
        assert response.status == 401


async def test_requests_are_counted(client: aiohttp.ClientSession) -> None:
    before = await figures(client)
    async with client.get("/nothing"):
        pass
    after = await figures(client)
    key = "dnslb_admin_requests_total{status=4xx}"
    assert after[key] == before[key] + 1


class TestTenThousandMembers:
    @pytest.fixture
    def node(self) -> Node:
        return big(2500, 4)

    @pytest.mark.usefixtures("no_collection")
    async def test_take_less_than_a_second(self, client: aiohttp.ClientSession) -> None:
        began = time.thread_time()
        text, _ = await scrape(client)
        # 0.05 s on an idle machine; CPU time, since others use it.
        assert time.thread_time() - began < 1
        assert "dnslb_members_served 10000.0" in text
