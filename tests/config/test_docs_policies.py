"""Every configuration that docs/policies.md shows loads, and every key it should name is there."""

import re
import tomllib
from pathlib import Path

import pytest

from dnslb_backend.config import Config, ConfigPaths, load
from dnslb_backend.config.models import RecordSettings, ViewSettings
from dnslb_backend.core.model.records import AllDown, Policy
from tests.pdns.geo_databases import place, write_places

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
DATABASE = "/var/lib/GeoIP/GeoLite2-City.mmdb"
HEAD = """
[global]
domain_name = "lb.example"
[zones."lb.example"]
soa = { mname = "ns1", rname = "hostmaster", minimum = 0 }
ns = ["ns1"]
static = [{ name = "ns1", type = "A", content = "192.0.2.53" }]
[default]
ttl = 5
interval = 5
timeout = 2
dns_timeout = 1
check = { type = "tcp", port = 80 }
"""


def loaded(folder: Path, example: str) -> Config:
    database = write_places(folder / "places.mmdb", {"192.0.2.0/24": place("NZ")})
    path = folder / "dnslb.toml"
    path.write_text(HEAD + example.replace(DATABASE, str(database)))
    return load(ConfigPaths(path))


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_loads_and_means_records(example: str, tmp_path: Path) -> None:
    config = loaded(tmp_path, example)
    names = set(tomllib.loads(example)["records"])
    assert len({key.name for key in config.plan.records}) == len(names)
    warned = [str(warning) for warning in config.warnings]
    of_rule_9 = [warning for warning in warned if "rule 9" in warning]
    of_the_apex = [warning for warning in warned if "consistent-backends=no" in warning]
    assert len(of_rule_9) == example.count("client_networks")
    assert len(of_the_apex) == example.count('"@"')
    assert len(warned) == len(of_rule_9) + len(of_the_apex)


@pytest.mark.parametrize("word", [*Policy, *AllDown])
def test_every_way_has_its_row(word: str) -> None:
    assert f'| `"{word}"`' in PAGE


def test_every_key_is_explained() -> None:
    ours = {"policy", "max_answers", "sticky", "all_down", "fallback", "prio_min_cnt"}
    ours |= {"ttl", "ttl_min", "ttl_max", "client_networks"}
    assert ours <= RecordSettings.model_fields.keys()
    missing = [name for name in (*ours, *ViewSettings.model_fields) if name not in PAGE]
    assert not missing


def test_the_warning_of_rule_9_is_about_the_network_it_names(tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if "client_networks" in text)
    (warning,) = loaded(tmp_path, example).warnings
    assert "10.0.0.128/26" in str(warning)
    clear = loaded(tmp_path, example.replace("10.0.0.128/27", "10.0.0.0/25"))
    assert not clear.warnings
