"""pdnsutil and pdns_server can do all that belongs to signed zones, over every transport."""

import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dnslb_backend.clock import now
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.shared.key_store import StoredKeys
from dnslb_backend.store.shared.replicated_table import TableSync
from tests.pdns.transports import TRANSPORTS
from tests.pdns.world import LB, OTHER, World
from tests.rigs.hung_storage import hung
from tests.rigs.powerdns import PowerDNS, name_here
from tests.rigs.validators import anchors, delv
from tests.rigs.waiting import until

REMOTE = [name for name in TRANSPORTS if not name.startswith("abi")]
"""The pipe backend knows nothing of keys."""


class Stand(NamedTuple):
    vault: StoredKeys
    pdns: PowerDNS

    async def util(self, *words: str) -> str:
        code, told = await self.pdns.util(*words)
        assert code == 0, told
        return told


@pytest.fixture(scope="module", params=REMOTE)
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    world = World()
    world.serve("pending", "A", "10.2.0.1")
    world.snapshot = world.build()
    with tempfile.TemporaryDirectory() as folder:
        file = SqliteStore(Path(folder) / "state.sqlite")
        vault = StoredKeys(file, now, on_written=lambda: None, on_keys_changed=lambda _: None)
        async with (
            TRANSPORTS[request.param](Responder(world.current, key_store=vault)) as settings,
            PowerDNS({**settings, "remote-dnssec": "yes"}) as pdns,
        ):
            yield Stand(vault, pdns)
        await file.close()


async def test_keys_come_change_and_go(stand: Stand) -> None:
    for words, made in (
        (["ksk", "active", "unpublished"], (257, True, False)),
        (["zsk", "inactive", "published"], (256, False, True)),
    ):
        told = await stand.util("add-zone-key", LB, *words, "ecdsa256")
        number = told.split()[-1]
        (key,) = stand.vault.keys(LB)
        assert str(key.id) == number
        assert (key.flags, key.active, key.published) == made
        assert key.content.startswith("Private-key-format: v1.2\nAlgorithm: 13 ")
        for order, active, published in (
            ("activate", True, key.published),
            ("deactivate", False, key.published),
            ("publish", False, True),
            ("unpublish", False, False),
        ):
            await stand.util(f"{order}-zone-key", LB, number)
            (key,) = stand.vault.keys(LB)
            assert (key.active, key.published) == (active, published), order
        assert number in await stand.util("list-keys", LB)
        await stand.util("remove-zone-key", LB, number)
        assert stand.vault.keys(LB) == ()


async def test_a_key_can_be_taken_out_and_brought_back(stand: Stand, tmp_path: Path) -> None:
    number = (await stand.util("add-zone-key", LB, "zsk", "active", "ecdsa256")).split()[-1]
    exported = await stand.util("export-zone-key", LB, number)
    assert exported.strip() == stand.vault.keys(LB)[0].content.strip()
    assert "DNSKEY 256 3 13" in await stand.util("export-zone-dnskey", LB, number)
    await stand.util("remove-zone-key", LB, number)
    save(tmp_path / "key", exported)
    await stand.util("import-zone-key", LB, str(tmp_path / "key"), "active", "zsk")
    (key,) = stand.vault.keys(LB)
    assert (str(key.id), key.flags, key.active) == (number, 256, True)
    await stand.util("remove-zone-key", LB, number)


def save(path: Path, text: str) -> None:
    path.write_text(text)


async def test_a_zone_is_secured_proved_and_released(stand: Stand) -> None:
    assert "Zone is not actively secured" in await stand.util("show-zone", LB)
    await stand.util("secure-zone", LB)
    for semantics, words in (
        ("NSEC semantics", ["unset-nsec3", LB]),
        ("hashed NSEC3 semantics, configuration: 1 0 2 ab", ["set-nsec3", LB, "1 0 2 ab"]),
        ("NSEC semantics", ["unset-nsec3", LB]),
        ("NARROW hashed", ["set-nsec3", LB, "1 0 2 ab", "narrow"]),
    ):
        await stand.util(*words)
        assert semantics in await stand.util("show-zone", LB)
        trusted = await anchors(stand.pdns, LB)
        # At first PowerDNS remembers how it was, and asks accordingly.
        for is_purged in (False, True):
            if is_purged:
                await stand.pdns.purge(f"{LB}$")
            for name, outcome in (("www", "found"), ("nope", "nxdomain"), ("b.deep", "nodata")):
                verdict = await delv(stand.pdns, trusted, f"{name}.{LB}")
                assert (verdict.outcome, verdict.is_valid) == (outcome, True), str(verdict)
    assert re.search(r"\b0 errors", await stand.util("check-zone", LB))
    await stand.util("rectify-zone", LB)
    await stand.util("disable-dnssec", LB)
    assert "Zone is not actively secured" in await stand.util("show-zone", LB)
    assert stand.vault.keys(LB) == ()
    await stand.util("unset-nsec3", LB)
    assert stand.vault.metadata(LB) == {}


async def test_metadata_is_what_was_said(stand: Stand) -> None:
    values = ["192.0.2.0/24", "2001:db8::/32", "a b & c=d % é"]
    await stand.util("set-meta", LB, "ALLOW-AXFR-FROM", *values)
    assert stand.vault.metadata(LB) == {"ALLOW-AXFR-FROM": tuple(values)}
    assert "a b & c=d % é" in await stand.util("get-meta", LB, "ALLOW-AXFR-FROM")
    await stand.util("add-meta", LB, "ALLOW-AXFR-FROM", "198.51.100.1")
    assert set(stand.vault.metadata(LB)["ALLOW-AXFR-FROM"]) == {*values, "198.51.100.1"}
    assert "ALLOW-AXFR-FROM" not in await stand.util("get-meta", OTHER)
    await stand.util("set-meta", LB, "ALLOW-AXFR-FROM")
    assert stand.vault.metadata(LB) == {}


async def test_keys_for_transfers_come_and_go(stand: Stand) -> None:
    secret = "aGVsbG8gd29ybGQ="
    await stand.util("import-tsig-key", "Peer.example", "hmac-sha256", secret)
    assert f"peer.example. hmac-sha256. {secret}" in await stand.util("list-tsig-keys")
    await stand.util("activate-tsig-key", LB, "peer.example", name_here("primary"))
    assert stand.vault.metadata(LB) == {"TSIG-ALLOW-AXFR": ("peer.example",)}
    await stand.util("deactivate-tsig-key", LB, "peer.example", name_here("primary"))
    await stand.util("delete-tsig-key", "peer.example")
    assert await stand.util("list-tsig-keys") == ""


async def test_what_is_not_there_is_not_changed(stand: Stand) -> None:
    for words in (
        ["activate-zone-key", LB, "12345"],
        ["remove-zone-key", LB, "12345"],
    ):
        code, told = await stand.pdns.util(*words)
        assert code != 0, told
    nobodys = ("nobodys.example", "zsk", "active", "ecdsa256")
    assert "No such zone" in (await stand.pdns.util("add-zone-key", *nobodys))[1]
    assert stand.vault.keys(LB) == ()


@pytest.mark.parametrize("transport", ["rest", "unix"])
async def test_an_order_that_cannot_be_kept_fails_and_costs_nobody_else(transport: str) -> None:
    world = World()
    async with (
        TRANSPORTS[transport](Responder(world.current)) as settings,
        PowerDNS({**settings, "remote-dnssec": "yes"}) as pdns,
    ):
        for words in (
            ["add-zone-key", LB, "zsk", "active", "ecdsa256"],
            ["set-meta", LB, "SOA-EDIT", "EPOCH"],
            ["import-tsig-key", "peer", "hmac-sha256", "aGVsbG8="],
        ):
            code, told = await pdns.util(*words)
            assert code != 0, (words, told)
        assert (await pdns.ask(f"www.{LB}")).contents


async def test_a_write_that_failed_is_not_in_force_when_the_disk_has_caught_up(
    tmp_path: Path,
) -> None:
    world, path = World(), tmp_path / "state.sqlite"
    file = SqliteStore(path)
    keys = StoredKeys(file, now, on_written=lambda: None, on_keys_changed=lambda _: None)
    async with (
        TRANSPORTS["unix"](Responder(world.current, key_store=keys)) as settings,
        PowerDNS({**settings, "remote-dnssec": "yes"}) as pdns,
    ):

        async def is_set() -> bool:
            return (await pdns.util("set-meta", LB, "SOA-EDIT", "EPOCH"))[0] == 0

        await until(is_set)
        touch(path)
        with hung(path) as is_held:
            code, said = await pdns.util("set-meta", LB, "SOA-EDIT", "INCEPTION-EPOCH")
            assert is_held()
        assert code != 0, said
        for _ in range(2):
            await TableSync(keys.table, file).sync(now().wall)
            assert keys.metadata(LB) == {"SOA-EDIT": ("EPOCH",)}
        assert "INCEPTION" not in (await pdns.util("get-meta", LB, "SOA-EDIT"))[1]
    await file.close()


def touch(path: Path) -> None:
    """A file that was touched is opened again by what uses it next."""
    path.touch()
