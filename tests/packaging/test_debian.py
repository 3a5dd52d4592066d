"""The Debian packages: built, installed, upgraded and purged in systems of their releases.

They take minutes, a mirror of Debian and an index of Python packages: `make test-deb` runs them.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import dnslb_backend
from tests.packaging.answers_over_dns import __file__ as answers_over_dns
from tests.packaging.debian_system import RELEASES, ROOT, System, build, debian, repacked

pytestmark = [pytest.mark.debian, pytest.mark.timeout(1800)]

NUMBERS = {"bookworm": 12, "trixie": 13}
THREE_LINES = """\
["www".A]
dest  = ["127.0.0.1", "127.0.0.2"]
check = { type = "http", url = "http://%(address)s/" }
"""
PYTHON = "/usr/lib/dnslb-backend/bin/python"
RECORDS = "/etc/dnslb/records.d/www.toml"
MAIN = "/etc/dnslb/dnslb.toml"
OURS = re.compile(r"dnslb")
NOISE = re.compile(r"^(var/log|var/cache|var/lib/(dpkg|apt)|root|tmp|proc|etc/ld\.so\.cache)")
"""Where package managers write; pages and indexes of theirs change with every run."""


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def package(release: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(release)
    done = build(release, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def served(release: str, package: Path) -> Iterator[System]:
    """A bare system into which the package came in one go with PowerDNS."""
    with debian(release) as system:
        path = system.receive(package)
        done = system.install(path, "pdns-server", "pdns-backend-remote")
        assert done.returncode == 0, done.stdout + done.stderr
        yield system


@pytest.fixture(scope="module")
def system(release: str, package: Path) -> Iterator[System]:
    """A system that has what the package needs, and not the package."""
    with debian(release) as system:
        done = system.install(system.receive(package))
        assert done.returncode == 0, done.stdout + done.stderr
        system.purge()
        yield system


@pytest.fixture
def installed(system: System) -> Iterator[System]:
    """The package without PowerDNS, purged afterwards."""
    done = system.install("/root/dnslb-backend.deb")
    assert done.returncode == 0, done.stdout + done.stderr
    yield system
    system.purge()
    shutil.rmtree(system.path("/etc/dnslb"), ignore_errors=True)


def files(system: System) -> set[str]:
    """Every file of the system but those of its package managers."""
    found = set()
    for folder, folders, names in os.walk(system.root):
        here = Path(folder).relative_to(system.root)
        found |= {str(here / name) for name in (*folders, *names)}
    return {name for name in found if not NOISE.match(name)}


def test_its_name_says_for_which_release_it_is(package: Path, release: str) -> None:
    version = f"{dnslb_backend.__version__}~deb{NUMBERS[release]}u1"
    assert re.fullmatch(rf"dnslb-backend_{re.escape(version)}_[a-z0-9]+\.deb", package.name)


def test_it_holds_what_a_host_needs(served: System) -> None:
    for name in (
        *(MAIN, "/usr/bin/dnslb-backend", "/usr/share/dnslb-backend/pdns/pdns-unix.conf"),
        *("/usr/share/man/man1/dnslb-backend.1.gz", "/usr/share/man/man5/dnslb.toml.5.gz"),
        *("/usr/lib/sysusers.d/dnslb-backend.conf", "/usr/lib/tmpfiles.d/dnslb-backend.conf"),
        "/usr/share/bash-completion/completions/dnslb-backend",
        "/usr/share/zsh/vendor-completions/_dnslb-backend",
        "/usr/share/fish/vendor_completions.d/dnslb-backend.fish",
        "/usr/share/doc/dnslb-backend/python-packages.txt",
    ):
        assert os.path.lexists(served.path(name)), name
    assert served.ok("dnslb-backend", "--version").split() == [
        "dnslb-backend",
        dnslb_backend.__version__,
    ]
    assert "dnslb" in served.ok("id", "dnslb")
    assert served.ok("dpkg-query", "-W", "-f", "${Conffiles}", "dnslb-backend").split()[0] == MAIN
    assert served.ok("dpkg", "--verify", "dnslb-backend") == ""


def test_three_lines_are_answered_over_dns_and_follow_health(served: System) -> None:
    served.put(RECORDS, f"{THREE_LINES}ttl = 3600\n")
    assert served.ok("dnslb-backend", "check-config")
    pdns = served.path("/etc/powerdns/pdns.conf")
    shutil.copy(served.path("/usr/share/dnslb-backend/pdns/pdns-unix.conf"), pdns)
    shutil.copy(answers_over_dns, served.path("/root/ask.py"))
    shown = served.ok(PYTHON, "/root/ask.py", "www.lb.example", offline=True)
    assert shown.splitlines() == ["127.0.0.1", "127.0.0.1 127.0.0.2"]


def test_the_schema_that_the_configuration_names_is_there(served: System) -> None:
    first = served.path(MAIN).read_text().splitlines()[0]
    assert served.path(first.removeprefix("#:schema ")).is_file()


def test_systemd_accepts_the_units(served: System) -> None:
    listed = served.ok("dpkg", "--listfiles", "dnslb-backend")
    ours = re.findall(r"^.*/lib/systemd/system/\S+\.(?:service|socket)$", listed, re.MULTILINE)
    assert len(ours) == 3
    done = served.run("systemd-analyze", "verify", "--man=no", *ours)
    assert not [line for line in done.stderr.splitlines() if OURS.search(line)], done.stderr


def test_it_is_upgraded_in_place(installed: System, package: Path, tmp_path: Path) -> None:
    installed.put("/var/lib/dnslb/state.sqlite", "kept")
    installed.put(RECORDS, THREE_LINES)
    edited = installed.path(MAIN).read_text().replace("ttl         = 5", "ttl = 9")
    installed.put(MAIN, edited)
    newer = repacked(package, tmp_path, "Version", "99~deb1")
    done = installed.install(installed.receive(newer, "newer.deb"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert installed.ok("dpkg-query", "-W", "-f", "${Version}", "dnslb-backend") == "99~deb1"
    assert installed.path("/var/lib/dnslb/state.sqlite").read_text() == "kept"
    assert installed.path(MAIN).read_text() == edited
    assert installed.ok("dnslb-backend", "check-config")


def test_removed_it_leaves_the_configuration_and_the_state(installed: System) -> None:
    installed.put("/var/lib/dnslb/state.sqlite", "kept")
    installed.ok("apt-get", "-q", "remove", "--yes", "dnslb-backend")
    assert not os.path.lexists(installed.path("/usr/bin/dnslb-backend"))
    assert not installed.path("/usr/lib/dnslb-backend").exists()
    assert installed.path(MAIN).is_file()
    assert installed.path("/var/lib/dnslb/state.sqlite").is_file()


def test_purged_it_leaves_nothing(system: System) -> None:
    before = files(system)
    assert system.install("/root/dnslb-backend.deb").returncode == 0
    system.put("/var/lib/dnslb/state.sqlite", "gone")
    system.ok("dnslb-backend", "check-config", "--help")
    system.purge()
    after = files(system)
    assert after - before == set()
    # The user stays, as those of other packages do: files may belong to it.
    assert {name for name in after if OURS.search(name)} == set()


def test_what_an_operator_wrote_survives_a_purge(installed: System) -> None:
    installed.put(RECORDS, THREE_LINES)
    installed.purge()
    assert installed.path(RECORDS).read_text() == THREE_LINES
    assert not installed.path(MAIN).exists()


@pytest.mark.parametrize("asked", [False, True])
def test_a_configuration_made_by_hand_is_kept(system: System, asked: bool) -> None:
    mine = {
        MAIN: '[global]\ndomain_name = "mine.example"\n',
        RECORDS: THREE_LINES,
        "/etc/dnslb/token": "secret",
    }
    for name, text in mine.items():
        system.put(name, text)
        system.path(name).chmod(0o600)
    if asked:
        # The answer is empty: what dpkg then does is its default.
        done = system.run("sh", "-c", "echo | apt-get -q install --yes /root/dnslb-backend.deb")
    else:
        done = system.install("/root/dnslb-backend.deb")
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert f"Configuration file '{MAIN}'" in said
    assert "File on system created by you or by a script." in said
    for name, text in mine.items():
        path = system.path(name)
        assert (path.read_text(), path.stat().st_mode & 0o777) == (text, 0o600), name
    assert "mine.example" not in system.path(f"{MAIN}.dpkg-dist").read_text()
    assert system.ok("dnslb-backend", "check-config")
    system.purge()
    assert {path.name for path in system.path("/etc/dnslb").rglob("*")} == {
        *("records.d", "www.toml", "token")
    }
    shutil.rmtree(system.path("/etc/dnslb"))


def test_another_architecture_is_refused(system: System, package: Path, tmp_path: Path) -> None:
    ours = system.ok("dpkg", "--print-architecture").strip()
    other = "arm64" if ours == "amd64" else "amd64"
    foreign = repacked(package, tmp_path, "Architecture", other)
    path = system.receive(foreign, "foreign.deb")
    done = system.run("dpkg", "--install", path)
    assert done.returncode != 0
    assert f"package architecture ({other}) does not match system ({ours})" in done.stderr
    done = system.install(path)
    assert done.returncode != 0
    assert f"dnslb-backend:{other}" in done.stdout + done.stderr
    assert system.run("dpkg-query", "-W", "dnslb-backend").returncode != 0


def test_fish_completes_with_the_shipped_script(system: System, package: Path) -> None:
    assert system.install("/root/dnslb-backend.deb", "fish", "zsh").returncode == 0
    offered = system.ok("fish", "--command", 'complete --do-complete "dnslb-backend sta"')
    assert offered.split()[0] == "status"
    script = "/usr/share/zsh/vendor-completions/_dnslb-backend"
    assert system.ok("zsh", "-n", script) == ""
    system.purge()


def test_a_build_that_fails_leaves_nothing(release: str, tmp_path: Path) -> None:
    tree, folder = tmp_path / "tree", tmp_path / "dist"
    tree.mkdir()
    for name in (*(".ci", "configs", "dnslb_backend", "docs", "pdns", "sql", "CHANGELOG.md"),
                 *("LICENSE", "README.md", "pyproject.toml")):  # fmt: skip
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tree / name)
    with (tree / "configs/debian/rules").open("a") as file:
        file.write("\nexecute_before_dh_installdocs:\n\techo broken on purpose >&2; exit 1\n")
    done = build(release, folder, tree)
    assert done.returncode != 0
    assert "broken on purpose" in done.stderr
    assert not folder.exists() or not list(folder.iterdir())


def test_a_release_that_is_none_leaves_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    done = build("nosuchrelease", tmp_path / "dist", DEBIAN_CACHE=str(cache))
    assert done.returncode != 0
    assert not (tmp_path / "dist").exists()
    assert [path.name for path in cache.iterdir() if path.suffix != ".lock"] == []
    mounts = subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in mounts
