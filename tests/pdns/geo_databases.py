"""Location databases that a test writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]


def place(country: str = "", continent: str = "", asn: int = 0) -> dict[str, Any]:
    """What a database says of a network, in the layout of the usual ones."""
    found: dict[str, Any] = {}
    if country:
        found["country"] = {"iso_code": country}
    if continent:
        found["continent"] = {"code": continent}
    if asn:
        found["autonomous_system_number"] = asn
    return found


def write_places(path: Path, networks: Mapping[str, Any], *, version: int = 6) -> Path:
    """Put a database of these networks in place of what is there, in one step."""
    writer = MMDBWriter(version, "Test", ipv4_compatible=version == 6)
    for network, content in networks.items():
        writer.insert_network(IPSet([network]), content)
    draft = path.with_name(f"{path.name}.new")
    writer.to_db_file(str(draft))
    draft.replace(path)
    return path
