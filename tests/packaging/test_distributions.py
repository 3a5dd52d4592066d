"""The wheel and the source distribution: what is in them, and that they work without a checkout."""

import hashlib
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest

import dnslb_backend
from dnslb_backend.cli.files import shipped_files
from tests.packaging.environments import (
    install,
    make_environment,
    public_folder,
    run_unprivileged,
)
from tests.pdns.geo_databases import place, write_places

pytestmark = pytest.mark.timeout(180)  # pip fetches and unpacks twenty packages

ROOT = Path(__file__).parents[2]
VERSION = dnslb_backend.__version__
PLACES = """
[global]
domain_name = "lb.example"
[geo]
database = "places.mmdb"
[views.near]
countries = ["NZ"]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both distributions: the sdist from the tree, the wheel from the sdist."""
    return _run_build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def programs(wheel: Path) -> Iterator[Path]:
    """The programs of a bare environment into which the wheel was installed."""
    with public_folder() as folder:
        made = make_environment(folder / "venv")
        install(made, str(wheel))
        yield made


@pytest.fixture
def home() -> Iterator[Path]:
    """Where an ordinary user is, and may write."""
    with public_folder(for_nobody=True) as folder:
        yield folder


def _run_build(directory: Path, *switches: str) -> Path:
    command = [sys.executable, "-m", "build", "--outdir", str(directory), *switches, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def _contents(wheel: Path) -> dict[str, str]:
    """The files of a wheel, and what they hold."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def _tracked(directory: str) -> set[str]:
    """The files of a folder of the tree that are not made by running anything."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / directory).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    package = _tracked("dnslb_backend") | {f"dnslb_backend/{path}" for path in _tracked("sql")}
    shipped = (path for path in shipped_files() if not path.startswith("sql/"))
    package |= {f"dnslb_backend/share/{path}" for path in shipped}
    inside = {name for name in _contents(wheel) if ".dist-info/" not in name}
    assert inside == package
    assert "dnslb_backend/py.typed" in inside
    assert not [name for name in inside if "test" in name]


def test_the_source_distribution_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    (direct,) = _run_build(tmp_path, "--wheel").glob("*.whl")
    assert _contents(direct) == _contents(wheel)


def test_the_source_distribution_can_be_tested_and_packaged(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "LICENSE", "Dockerfile", "compose.yaml", "tests/conftest.py"} <= names
    assert _tracked("configs") <= names
    assert not [name for name in names if name.startswith((".venv", ".git/", "dist"))]


def test_the_version_has_one_source(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"dnslb_backend-{VERSION}.dist-info/METADATA").decode()
    metadata = Parser().parsestr(text)
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("Provides-Extra") == ["geo", "grpc"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dynamic"] == ["readme", "version"]


def test_its_description_has_no_link_that_leads_nowhere(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"dnslb_backend-{VERSION}.dist-info/METADATA").decode()
    description = Parser().parsestr(text).get_payload()
    assert isinstance(description, str)
    assert "A DNS load balancer for PowerDNS" in description
    assert not re.search(r"<img|<picture|!\[", description)
    links = re.findall(r"\]\(([^)]*)\)", description)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def test_it_runs_in_a_bare_environment(programs: Path, home: Path) -> None:
    command = str(programs / "dnslb-backend")
    shown = run_unprivileged([command, "--version"], home)
    assert (shown.returncode, shown.stdout) == (0, f"dnslb-backend {VERSION}\n"), shown.stderr
    tables = run_unprivileged([command, "schema", "show"], home)
    assert "CREATE TABLE" in tables.stdout


def test_what_a_host_needs_comes_out_of_it(programs: Path, home: Path) -> None:
    command = str(programs / "dnslb-backend")
    done = run_unprivileged([command, "files", "export", "share"], home)
    assert done.returncode == 0, done.stderr
    found = {
        str(path.relative_to(home / "share")): path.read_bytes()
        for path in (home / "share").rglob("*")
        if path.is_file()
    }
    assert found == shipped_files()


def test_the_demo_proves_a_failover_there(programs: Path, home: Path) -> None:
    command = [str(programs / "dnslb-backend"), "demo", "--once"]
    shown = run_unprivileged(command, home)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "answers follow health" in shown.stdout


def test_places_need_the_extra_and_say_so(programs: Path, wheel: Path, home: Path) -> None:
    write_places(home / "places.mmdb", {"192.0.2.0/24": place("NZ")})
    (home / "dnslb.toml").write_text(PLACES)
    command = [str(programs / "dnslb-backend"), "check-config", "-c", "dnslb.toml"]
    without = run_unprivileged(command, home)
    assert without.returncode == 126
    assert "dnslb-backend[geo]" in without.stderr
    install(programs, f"{wheel}[geo]")
    assert run_unprivileged(command, home).returncode == 0
