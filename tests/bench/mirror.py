"""The mirror at size: the first fill of a database, and what goes on when nothing changes."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.bench.beating import LargeDaemon
from tests.bench.contestants import configuration
from tests.bench.table import table
from tests.rigs.mariadb import MariaDB
from tests.rigs.processes import processor_time
from tests.rigs.waiting import passes, until

PATIENCE = 900.0

# Every member and nothing else has a row in lb_state.
COUNT = "SELECT COUNT(*) AS n FROM lb_state WHERE health = 'UP'"

WRITTEN = ("Handler_write", "Handler_update")


class Mirrored(NamedTuple):
    """So many members in a database, of a node that is alone or votes with others. `filled` are
    seconds from the first listener until all of them are in it as UP, `seconds` how long
    nothing changed afterwards. Of both: the rows and bytes a second that the database got, and its
    CPU as a share of a core.
    """

    members: int
    votes: bool
    filled: float
    fill_rows: float
    fill_bytes: float
    fill_cpu: float
    seconds: float
    rows: float
    bytes: float
    cpu: float


class Spent(NamedTuple):
    at: float
    rows: float
    bytes: float
    cpu: float


async def measure_mirror(members: int, watch: float, *, votes: bool) -> Mirrored:
    async with MariaDB(options=["--innodb-buffer-pool-size=512M"]) as server:
        await server.query("CREATE DATABASE lb")
        await apply(MysqlSettings(unix_socket=str(server.socket), user="root", database="lb"))
        mysql = f'[mysql]\nunix_socket = "{server.socket}"\nuser = "root"\ndatabase = "lb"\n'
        text = configuration(-(-members // 3)) + mysql + ("[quorum]\n" if votes else "")
        async with LargeDaemon(text, ready=False):
            began = await _spent(server)
            wanted = 3 * -(-members // 3)

            async def is_filled() -> bool:
                await passes(0.5)
                found = await server.query(COUNT, database="lb")
                return int(found[0]["n"]) >= wanted

            await until(is_filled, within=PATIENCE, what="all rows")
            filled = await _spent(server)
            # What is written again soon after the first time is a part of the fill.
            await passes(watch / 2)
            before = await _spent(server)
            await passes(watch)
            after = await _spent(server)
    return Mirrored(members, votes, *_rates(began, filled), *_rates(before, after))


async def _spent(server: MariaDB) -> Spent:
    found = {
        row["Variable_name"]: float(row["Value"])
        for row in await server.query(
            "SHOW GLOBAL STATUS WHERE Variable_name IN (%s, %s, 'Bytes_received')", WRITTEN
        )
    }
    rows = sum(found[name] for name in WRITTEN)
    return Spent(time.monotonic(), rows, found["Bytes_received"], processor_time(server.pid))


def _rates(before: Spent, after: Spent) -> tuple[float, float, float, float]:
    lasted = after.at - before.at
    rows, received = after.rows - before.rows, after.bytes - before.bytes
    return lasted, rows / lasted, received / lasted, (after.cpu - before.cpu) / lasted


def mirror_table(found: Sequence[Mirrored]) -> str:
    head = ("members in MariaDB", "filled s", "rows/s", "kB/s", "its cores", "then rows/s", "kB/s")
    return table(
        (*head, "its cores"),
        [
            (
                f"{each.members:,}{', [quorum]' if each.votes else ''}",
                f"{each.filled:.1f}",
                f"{each.fill_rows:,.0f}",
                f"{each.fill_bytes / 1000:,.0f}",
                f"{each.fill_cpu:.2f}",
                f"{each.rows:,.0f}",
                f"{each.bytes / 1000:,.0f}",
                f"{each.cpu:.3f}",
            )
            for each in found
        ],
    )
