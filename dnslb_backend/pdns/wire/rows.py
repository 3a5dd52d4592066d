"""Rows in the form that PowerDNS's remote backend reads."""

import json
from collections.abc import Iterable, Sequence

from dnslb_backend.core.model.zones import ResourceRecord
from dnslb_backend.pdns.wire.contents import as_powerdns_writes


def render_rows(rows: Sequence[ResourceRecord], zone_id: int) -> bytes:
    """The whole answer to a lookup: `rows` of the zone with this number; none: no such name."""
    return render_result([row_object(row, zone_id) for row in rows])


def render_found(found: Iterable[tuple[int, ResourceRecord]]) -> bytes:
    """As render_rows, for rows of several zones, each with the number of its own."""
    return render_result([row_object(row, zone_id) for zone_id, row in found])


def row_object(row: ResourceRecord, zone_id: int) -> dict[str, object]:
    return {
        "qtype": row.qtype,
        "qname": f"{row.qname}.",
        "content": as_powerdns_writes(row.qtype, row.content),
        "ttl": row.ttl,
        "domain_id": zone_id,
        "auth": int(row.auth),
        "scopeMask": row.scope,
    }


def render_result(result: object) -> bytes:
    """`{"result": ...}` on one line, in ASCII."""
    return json.dumps({"result": result}, separators=(",", ":")).encode("ascii")
