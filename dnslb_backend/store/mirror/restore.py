"""Reads what an earlier run of this node left in a store."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dnslb_backend.core.health.saved_state import SavedState
from dnslb_backend.store.database.interface import Select, Store, Where
from dnslb_backend.store.database.tables import HOST, NODE, RECORD, STATE, ZONE, Table, TableRow
from dnslb_backend.store.database.values import parse_sql_datetime
from dnslb_backend.store.mirror.member_rows import NO_BEAT, LastBeat
from dnslb_backend.store.mirror.reading import read_rows
from dnslb_backend.store.mirror.record_rows import read_records
from dnslb_backend.store.mirror.rows import read_serials


async def load_saved_state(
    store: Store, node: str, boot: str, uptime: Callable[[], float]
) -> SavedState | None:
    """What `store` has of `node`, without overrides; None if nothing. Raises StoreError.

    `boot` and `uptime` are those of this machine: from rows of the same boot follows how much time
    has passed, even if the wall clock was set meanwhile.
    """

    async def rows(table: Table) -> list[TableRow]:
        return await store.read(Select(table, table.columns, (Where("node", "=", node),)))

    records = await rows(RECORD)
    # A zone without balanced records has a serial to be restored as well.
    known = read_serials(await rows(ZONE))
    if not records and not known:
        return None
    beats = read_rows(NODE, await rows(NODE), partial(_last_beat, boot, uptime()), key="node")
    beat = beats[0] if beats else NO_BEAT
    found = read_records(records, await rows(HOST), await rows(STATE), beat)
    return SavedState(found, known, (), beat.taken, beat.elapsed)


def _last_beat(boot: str, uptime: float, row: Mapping[str, Any]) -> LastBeat:
    """How long ago it is is known where the boot is the same."""
    passed = uptime - float(row["uptime"])
    is_known = row["boot"] == boot and 0 <= passed < math.inf
    session = str(row["session"] or "")
    return LastBeat(parse_sql_datetime(row["seen"]), passed if is_known else None, session)
