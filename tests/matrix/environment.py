"""A Debian system with the wheel of this tree in it, and what its tests say."""

import re
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.matrix.table import Result
from tests.matrix.variants import Variant
from tests.packaging.debian_system import ROOT, SCRIPTS, Done, System

SOURCE = "/root/dnslb"
"""Where the tests are in a system; the package itself is not, so that they meet the wheel's."""

PYTHON = "/root/venv/bin/python"
TESTED_WITH = ("configs", "docs", "pdns", "sql", "tests", "Makefile", "README.md", "pyproject.toml")


class EnvironmentFailedError(Exception):
    """A system could not be made; the text says why."""


def build_wheel(folder: Path) -> Path:
    """The wheel of this tree."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (found,) = folder.glob("*.whl")
    return found


class Environment:
    """The system of a variant below `folder`."""

    def __init__(self, folder: Path, variant: Variant, packages: Sequence[str]) -> None:
        extract_system(folder, variant.release, packages)
        self._system = System(folder)
        self._variant = variant
        for name in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"):
            shutil.copy(name, self._system.path(name))
        if variant.powerdns:
            self._take_powerdns([name for name in packages if name.startswith("pdns-")])

    def install(self, wheel: Path) -> None:
        """The wheel with its extras, and what the tests need. Raises EnvironmentFailedError."""
        for name in TESTED_WITH:
            source, there = ROOT / name, self._system.path(f"{SOURCE}/{name}")
            there.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, there)
        shutil.copy(wheel, self._system.path(f"/root/{wheel.name}"))
        self._do("python3", "-m", "venv", "/root/venv")
        self._pip("--upgrade", "pip>=25.1")
        self._pip("--group", f"{SOURCE}/pyproject.toml:tests")
        pins = lowest_dependencies() if self._variant.is_lowest else []
        self._pip(f"/root/{wheel.name}[geo,grpc]", *pins)

    def versions(self) -> dict[str, str]:
        """What is in the system, by the heads of the table."""
        return {
            "PowerDNS": self._version("pdns_server", "--version"),
            "Python": self._version(PYTHON, "--version"),
            "MariaDB": self._version("mariadbd", "--version"),
            "date": datetime.now(UTC).date().isoformat(),
        }

    def test(self, suite: Sequence[str], workers: int, limit: float) -> Result:
        """What pytest says of a suite, which is stopped after `limit` seconds."""
        report = self._system.path("/root/report.xml")
        report.unlink(missing_ok=True)
        # timeout of coreutils 9.10 starts nothing where it is process 1.
        command = f"cd {SOURCE} && timeout --kill-after=60 --signal=INT {limit:.0f} {PYTHON}"
        words = f"-m pytest -q -m 'not soak and not debian' -n {workers} --dist loadfile"
        files = " ".join(suite)
        done = self._system.run(
            "sh",
            "-c",
            f"{command} {words} -p no:cacheprovider --junitxml=/root/report.xml {files}; exit $?",
            offline=True,
        )
        print(done.stdout[-6000:], done.stderr[-2000:], flush=True)
        return read_report(report) if report.exists() else Result(0, is_whole=False)

    def _take_powerdns(self, packages: Sequence[str]) -> None:
        """PowerDNS of another release, run with its own libraries in the place of the system's."""
        release = self._variant.powerdns
        other = self._system.path(release)
        other.mkdir()
        extract_system(other, release, packages)
        (loader,) = other.glob("usr/lib/*/ld-*.so")
        libraries = f"/{loader.parent.relative_to(self._system.root)}"
        for program in ("/usr/sbin/pdns_server", "/usr/bin/pdnsutil"):
            command = f"{libraries}/{loader.name} --library-path {libraries} /{release}{program}"
            self._system.put(program, f'#!/bin/sh\nexec {command} "$@"\n')
        modules = self._system.path(f"/usr/lib/{loader.parent.name}/pdns")
        shutil.rmtree(modules)
        modules.symlink_to(f"{libraries}/pdns")

    def _version(self, *command: str) -> str:
        done = self._system.run(*command)
        found = re.search(r"(?<![\w.])\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
        return found[0] if found else "?"

    def _pip(self, *words: str) -> None:
        self._do(PYTHON, "-m", "pip", "install", "--quiet", *words)

    def _do(self, *command: str) -> Done:
        done = self._system.run(*command)
        if done.returncode != 0:
            raise EnvironmentFailedError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
        return done


def extract_system(folder: Path, release: str, packages: Sequence[str]) -> None:
    """A minimal Debian with these packages into the folder. Raises EnvironmentFailedError."""
    made = subprocess.run(
        [str(SCRIPTS / "debian-root"), release, *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise EnvironmentFailedError(made.stderr[-2000:])
    command = ["tar", "--extract", "--file", made.stdout.split()[-1], "--directory"]
    subprocess.run([*command, str(folder)], check=True)


def lowest_dependencies() -> list[str]:
    """The lowest release of each dependency that pyproject.toml allows, its extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [project["dependencies"], *project["optional-dependencies"].values()]
    return [re.sub(r">=([^,]+).*", r"==\1", each) for part in wanted for each in part]


def read_report(path: Path) -> Result:
    """The result of a run from its JUnit report."""
    passed, failed = 0, []
    for case in ET.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}")
        elif case.find("skipped") is None:
            passed += 1
    return Result(passed, tuple(failed))
