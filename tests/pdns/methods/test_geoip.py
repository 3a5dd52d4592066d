"""The location database: what it says, when it changes, and when it is broken."""

import logging
from pathlib import Path

import pytest

from dnslb_backend.core.model.clients import NO_LOCATION, Location
from dnslb_backend.pdns.methods.geoip import GeoDatabase, GeoDatabaseError
from tests.pdns.geo_databases import place, write_places

NETWORKS = {
    "192.0.2.0/24": place("NZ", "OC", 64500),
    "198.51.100.0/25": {"registered_country": {"iso_code": "DE"}, "continent": {"code": "EU"}},
    "2001:db8::/32": place("JP", "AS"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_places(tmp_path / "places.mmdb", NETWORKS)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.9", Location("NZ", "OC", 64500, 24)),
        ("198.51.100.9", Location("DE", "EU", 0, 25)),
        ("2001:db8::1", Location("JP", "AS", 0, 32)),
    ],
)
def test_it_says_where_an_address_is_and_for_how_many(
    path: Path, address: str, expected: Location
) -> None:
    assert GeoDatabase(path).locate(address) == expected


def test_an_unknown_address_is_nowhere_like_its_neighbours(path: Path) -> None:
    found = GeoDatabase(path).locate("203.0.113.1")
    assert found._replace(bits=0) == NO_LOCATION
    assert found.bits > 0


def test_a_database_of_one_family_knows_nothing_of_the_other(tmp_path: Path) -> None:
    path = write_places(tmp_path / "4.mmdb", {"192.0.2.0/24": place("NZ")}, version=4)
    places = GeoDatabase(path)
    assert places.locate("192.0.2.1").country == "NZ"
    assert places.locate("2001:db8::1") == NO_LOCATION
    assert places.locate("no address") == NO_LOCATION


@pytest.mark.parametrize(
    "content", ["text", [1, 2], {"country": "NZ", "continent": 7, "autonomous_system_number": "x"}]
)
def test_what_is_not_in_the_usual_layout_is_nowhere(tmp_path: Path, content: object) -> None:
    path = write_places(tmp_path / "odd.mmdb", {"192.0.2.0/24": content})
    assert GeoDatabase(path).locate("192.0.2.1") == Location(bits=24)


def test_it_is_read_again_when_it_has_changed(path: Path) -> None:
    places = GeoDatabase(path)
    assert not places.refresh()
    write_places(path, {"192.0.2.0/24": place("AU", "OC")})
    assert places.refresh()
    assert not places.refresh()
    assert places.locate("192.0.2.1").country == "AU"


@pytest.mark.parametrize("size", [0, 100, -60])
def test_one_that_became_bad_is_not_used(
    path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    places = GeoDatabase(path)
    content = path.read_bytes()
    path.write_bytes(content[:size])
    assert not places.refresh()
    assert f"{path} cannot be read" in caplog.text
    assert places.locate("192.0.2.1").country == "NZ"
    path.write_bytes(content + b"")
    assert places.refresh()


def test_one_that_went_away_serves_on(path: Path) -> None:
    places = GeoDatabase(path)
    path.unlink()
    assert not places.refresh()
    assert places.locate("192.0.2.1").country == "NZ"


@pytest.mark.parametrize("size", [0, 100, -60])
def test_a_bad_one_is_refused_with_its_path(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(GeoDatabaseError, match=r"places\.mmdb cannot be read"):
        GeoDatabase(path)
    path.unlink()
    with pytest.raises(GeoDatabaseError, match=r"places\.mmdb cannot be read"):
        GeoDatabase(path)


def test_damage_inside_is_told_once_and_nobody_is_anywhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_places(tmp_path / "hurt.mmdb", {"198.51.100.0/24": place("DE", "EU")})
    content = bytearray(path.read_bytes())
    start = content.index(b"iso_code") - 20
    end = content.rindex(b"\xab\xcd\xefMaxMind.com")
    content[start:end] = b"\xff" * (end - start)
    path.write_bytes(content)
    places = GeoDatabase(path)
    with caplog.at_level(logging.ERROR):
        assert {places.locate(f"198.51.100.{n}") for n in range(9)} == {NO_LOCATION}
    assert len(caplog.records) == 1
    assert "is damaged" in caplog.text
