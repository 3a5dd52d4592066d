"""Reading back what an earlier run of this node left in a store."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dnslb_backend.core.health.saved_state import SavedState
from dnslb_backend.store.database.interface import Select, Store, Where
from dnslb_backend.store.database.tables import HOST, NODE, RECORD, STATE, ZONE, Table, TableRow
from dnslb_backend.store.database.values import parse_sql_datetime
from dnslb_backend.store.mirror.saved_rows import read_rows, restore_records, serials


async def load_saved_state(
    store: Store, node: str, boot: str, uptime: Callable[[], float]
) -> SavedState | None:
    """What `store` remembers of `node`, without overrides; None if nothing. Raises StoreError.

    `boot` and `uptime` are those of this machine: rows of the same boot tell how much time has
    passed, whatever became of the wall clock meanwhile.
    """

    async def rows(table: Table) -> list[TableRow]:
        return await store.read(Select(table, table.columns, (Where("node", "=", node),)))

    records = await rows(RECORD)
    # A zone of static rows alone has a serial to be remembered as well.
    known = serials(await rows(ZONE))
    if not records and not known:
        return None
    found = restore_records(records, await rows(HOST), await rows(STATE))
    signs = read_rows(NODE, await rows(NODE), partial(_last_sign, boot, uptime()), key="node")
    taken, elapsed = signs[0] if signs else (None, None)
    return SavedState(found, known, (), taken, elapsed)


def _last_sign(
    boot: str, uptime: float, sign: Mapping[str, Any]
) -> tuple[float | None, float | None]:
    """When the node was last alive, and how long ago that is, where the boot is the same."""
    taken = parse_sql_datetime(sign["seen"])
    passed = uptime - float(sign["uptime"])
    is_known = sign["boot"] == boot and 0 <= passed < math.inf
    return taken, passed if is_known else None
