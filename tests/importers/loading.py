"""What a draft becomes: the tables of its text, which our loader has accepted."""

import tomllib
from pathlib import Path
from typing import Any

from dnslb_backend.config import ConfigPaths, load
from dnslb_backend.importers.acceptance import accepted_text
from dnslb_backend.importers.draft import Draft
from dnslb_backend.importers.lua import draft_of_zone

SAMPLES = Path(__file__).parent / "samples"

HEAD = "$TTL 60\n@ IN SOA ns1 hostmaster 1 7200 600 1209600 60\n@ IN NS ns1\nns1 IN A 192.0.2.53\n"


def tables(draft: Draft) -> dict[str, Any]:
    return tomllib.loads(accepted_text(draft))


def of_zone(*rows: str, geo_database: str = "") -> tuple[dict[str, Any], list[str]]:
    """The zone lb.example with these rows as ours, and what has no equal."""
    draft = draft_of_zone(
        HEAD + "".join(f"{row}\n" for row in rows), "lb.zone", "lb.example", geo_database
    )
    zone = tables(draft)["zones"]["lb.example"]
    return zone, list(map(str, draft.notes))


def check_loads(text: str, directory: Path) -> None:
    """That `check-config` would accept it."""
    path = directory / "dnslb.toml"
    path.write_text(text)
    load(ConfigPaths(path))
