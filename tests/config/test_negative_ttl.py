"""A zone where some clients may have no data must not have it cached for all of them."""

from pathlib import Path

import pytest

from dnslb_backend.config import Config, ConfigPaths, load

HEAD = """
[global]
domain_name = "lb.example"
[zones."lb.example"]
soa = { mname = "ns1", rname = "hostmaster", minimum = 7 }
ns = ["ns1"]
static = [{ name = "ns1", type = "A", content = "192.0.2.53" }]
[zones."other.example"]
soa = { mname = "ns1", rname = "hostmaster", minimum = 7 }
ns = ["ns1"]
static = [{ name = "ns1", type = "A", content = "192.0.2.53" }]
[default]
ttl = 5
interval = 5
timeout = 2
dns_timeout = 1
check = { type = "static" }
[views.office]
networks = ["10.0.0.0/8"]
[records."www".A]
"""
OFFICE = '{ host = "192.0.2.1", views = ["office"] }'


def loaded(folder: Path, record: str) -> Config:
    path = folder / "dnslb.toml"
    path.write_text(HEAD + record)
    return load(ConfigPaths(path))


@pytest.mark.parametrize(
    "record",
    [
        f"dest = [{OFFICE}]",
        f'dest = [{OFFICE}, "192.0.2.2"]',
        f'dest = [{OFFICE}, "192.0.2.2"]\nall_down = "last"',
        f'dest = [{OFFICE}, "other.example"]\nall_down = "all"',
        f'dest = [{OFFICE}]\nall_down = "all"',
        f'dest = [{OFFICE}]\nfallback = "sorry.example"',
    ],
)
def test_a_zone_with_data_for_some_has_no_negative_ttl(tmp_path: Path, record: str) -> None:
    config = loaded(tmp_path, record)
    minimums = {zone.name: zone.soa.minimum for zone in config.plan.zones.values()}
    assert minimums == {"lb.example": 0, "other.example": 7}
    (warning,) = config.warnings
    assert 'zones."lb.example".soa.minimum: is treated as 0 because www' in str(warning)


@pytest.mark.parametrize(
    "record",
    [
        'dest = ["192.0.2.1"]',
        f'dest = [{OFFICE}]\nall_down = "servfail"',
        f'dest = [{OFFICE}]\nfallback = "192.0.2.9"',
        f'dest = [{OFFICE}, "192.0.2.2"]\nall_down = "all"',
    ],
)
def test_where_all_or_none_have_data_it_stays(tmp_path: Path, record: str) -> None:
    config = loaded(tmp_path, record)
    assert {zone.soa.minimum for zone in config.plan.zones.values()} == {7}
    assert not config.warnings
