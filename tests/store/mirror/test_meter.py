"""The metrics of the mirrors."""

from pathlib import Path

from dnslb_backend import metrics
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.waiting import until
from tests.store.test_persistence import A, B, Node, alive


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


async def test_the_figures_are_of_the_database_where_there_is_one(
    tmp_path: Path, settings: MysqlSettings
) -> None:
    before = value("dnslb_mirror_rows_total")
    node = Node(tmp_path / "state.sqlite", settings)
    async with alive(node):
        node.check("www", good=[A], bad=[B])
        await until(lambda: value("dnslb_mirror_up", store="mariadb") == 1)
        await until(lambda: value("dnslb_mirror_rows_total") > before)
        assert value("dnslb_mirror_up", store="local") == 1
        await until(lambda: value("dnslb_mirror_backlog") == 0)
        assert value("dnslb_mirror_lag_seconds") == 0


async def test_an_outage_shows(tmp_path: Path) -> None:
    nowhere = MysqlSettings(unix_socket="/nonexistent/socket", user="root")
    before = value("dnslb_mirror_errors_total")
    node = Node(tmp_path / "state.sqlite", nowhere)
    async with alive(node, flush=False):
        node.check("www", good=[A], bad=[B])
        await until(lambda: value("dnslb_mirror_errors_total") > before)
        assert value("dnslb_mirror_up", store="mariadb") == 0
        await until(lambda: value("dnslb_mirror_backlog") > 2)
        await until(lambda: value("dnslb_mirror_lag_seconds") > 1)
