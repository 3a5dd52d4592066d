"""Debian packages of the tree, and minimal Debian systems to install them in.

Both are made by the scripts that `make deb` uses; the systems are kept in its cache.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / ".ci"
RELEASES = ("bookworm", "trixie")

Done = subprocess.CompletedProcess[str]


def build(release: str, folder: Path, tree: Path = ROOT, **environment: str) -> Done:
    """Build the package of a release into `folder`."""
    return _run([str(tree / ".ci/deb"), release], DIST=str(folder), **environment)


@dataclass(frozen=True, slots=True)
class System:
    """A Debian system below a folder."""

    root: Path

    def run(self, *command: str, offline: bool = False) -> Done:
        """The command as root in there; `offline` with no network but loopback, and every port."""
        environment = {"OFFLINE": "1"} if offline else {}
        return _run([str(SCRIPTS / "debian-enter"), str(self.root), *command], **environment)

    def ok(self, *command: str, offline: bool = False) -> str:
        """As run(), for what must succeed; its output."""
        done = self.run(*command, offline=offline)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def install(self, *packages: str) -> Done:
        """What apt-get makes of these packages, asking nobody; existing files are kept."""
        switches = ("--yes", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold")
        return self.run("apt-get", "-q", "install", *switches, *packages)

    def purge(self) -> None:
        """Purge the package, if it is there."""
        self.ok("dpkg", "--purge", "dnslb-backend")

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def put(self, name: str, text: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def receive(self, package: Path, name: str = "dnslb-backend.deb") -> str:
        """Copy a package in; its path there."""
        shutil.copy(package, self.path(f"/root/{name}"))
        return f"/root/{name}"


@contextmanager
def debian(release: str) -> Iterator[System]:
    """A fresh minimal system, with the package lists of its mirror."""
    made = _run([str(SCRIPTS / "debian-root"), release])
    assert made.returncode == 0, made.stderr
    with tempfile.TemporaryDirectory(prefix="dnslb-debian-") as folder:
        command = ["tar", "--extract", "--file", made.stdout.strip(), "--directory", folder]
        subprocess.run(command, check=True)
        system = System(Path(folder))
        shutil.copy("/etc/resolv.conf", system.path("/etc/resolv.conf"))
        system.ok("apt-get", "-q", "update")
        yield system


def repacked(package: Path, folder: Path, field: str, value: str) -> Path:
    """The package with another value in a field of its control file."""
    tree, made = folder / "tree", folder / f"{field}.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines()
    changed = [f"{field}: {value}" if line.startswith(f"{field}: ") else line for line in lines]
    control.write_text("\n".join([*changed, ""]))
    command = ["dpkg-deb", "--build", "-Znone", "--root-owner-group", str(tree), str(made)]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(tree)
    return made


def _run(command: list[str], **environment: str) -> Done:
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
