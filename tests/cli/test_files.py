"""`files export`: what is shipped beside the program, written into a folder."""

import json
from pathlib import Path

from dnslb_backend.cli.files import SHIPPED, shipped_files
from tests.cli.command import run

ROOT = Path(__file__).parents[2]
FILES = shipped_files()


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def ages(directory: Path) -> dict[Path, int]:
    """When each file was written."""
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*")}


async def test_a_folder_gets_what_a_host_needs(tmp_path: Path) -> None:
    target = tmp_path / "share"
    ended = await run("files", "export", str(target))
    assert (ended.code, ended.err) == (0, "")
    assert tree(target) == FILES
    for name in (
        *("configs/systemd/dnslb-backend.service", "configs/prometheus/dnslb.rules.yml"),
        *("configs/grafana/dnslb.json", "pdns/pdns-unix.conf", "sql/0001_schema.sql"),
    ):
        assert (target / name).read_bytes() == (ROOT / name).read_bytes()
        assert (target / name).stat().st_mode & 0o777 == 0o644


async def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    await run("files", "export", str(tmp_path))
    before = ages(tmp_path)
    ended = await run("files", "export", str(tmp_path), "--json")
    assert (ended.code, json.loads(ended.out)) == (0, {"written": []})
    assert ages(tmp_path) == before


async def test_a_file_that_differs_is_kept_and_nothing_else_written(tmp_path: Path) -> None:
    edited = tmp_path / "pdns/pdns-unix.conf"
    edited.parent.mkdir()
    edited.write_text("mine\n")
    ended = await run("files", "export", str(tmp_path))
    assert ended.code == 1
    assert str(edited) in ended.err
    assert tree(tmp_path) == {"pdns/pdns-unix.conf": b"mine\n"}


async def test_force_replaces_it(tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql/queries.sql").write_text("mine\n")
    (tmp_path / "sql/other.sql").write_text("mine\n")
    ended = await run("files", "export", str(tmp_path), "--force")
    assert ended.code == 0
    assert tree(tmp_path) == {**FILES, "sql/other.sql": b"mine\n"}


async def test_where_a_folder_is_in_the_way_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "sql/queries.sql").mkdir(parents=True)
    ended = await run("files", "export", str(tmp_path), "--force")
    assert (ended.code, tree(tmp_path)) == (1, {})
    assert "sql/queries.sql is there, and is no file" in ended.err


async def test_where_nothing_can_be_written_it_says_so() -> None:
    ended = await run("files", "export", "/proc/dnslb")
    assert ended.code == 1
    assert "cannot be written" in ended.err


def test_what_is_shipped_is_there() -> None:
    assert [name for name in SHIPPED if not (ROOT / name).exists()] == []
