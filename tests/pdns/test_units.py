"""The units of configs/systemd as systemd reads them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dnslb_backend.pdns.connectors.coprocess import DEFAULT_SOCKET
from dnslb_backend.pdns.settings import ServerSettings
from dnslb_backend.sockets import CONNECTION_LIMIT

UNITS = Path(__file__).parents[2] / "configs" / "systemd"
ANALYZE = shutil.which("systemd-analyze")


def value(unit: str, key: str) -> str:
    (found,) = re.findall(rf"^{key}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
    return str(found)


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units with the path of a program that is there."""
    program = f"{Path(sys.executable).parent}/dnslb-backend"
    for unit in UNITS.glob("dnslb-backend*"):
        text = unit.read_text().replace("/usr/bin/dnslb-backend", program)
        (tmp_path / unit.name).write_text(text)
    return [str(path) for path in tmp_path.iterdir()]


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")
def test_systemd_understands_every_line(units: list[str]) -> None:
    assert len(units) == 3
    command = [str(ANALYZE), "verify", "--man=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "/dnslb-backend" in line]
    assert (done.returncode, complaints) == (0, [])


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")
def test_the_service_is_hardened(units: list[str]) -> None:
    (service,) = (unit for unit in units if unit.endswith(".service"))
    command = [str(ANALYZE), "security", "--offline=true", "--no-pager", "--threshold=25", service]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]


def test_the_sockets_are_where_the_configuration_would_put_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(
        "RUNTIME_DIRECTORY", f"/run/{value('dnslb-backend.service', 'RuntimeDirectory')}"
    )
    settings = ServerSettings.model_validate({})
    assert value("dnslb-backend-http.socket", "ListenStream") == settings.http
    assert value("dnslb-backend-unix.socket", "ListenStream") == settings.unix == DEFAULT_SOCKET
    assert value("dnslb-backend-unix.socket", "SocketMode") == settings.unix_mode


def test_every_connection_can_be_kept() -> None:
    assert int(value("dnslb-backend.service", "FileDescriptorStoreMax")) >= CONNECTION_LIMIT
    assert value("dnslb-backend.service", "RuntimeDirectoryPreserve") == "yes"
