"""The images that the compose files build, made once for all tests that run them."""

import sys
from pathlib import Path

import pytest

from tests.packaging.images import Image, build, run
from tests.packaging.services import ROOT
from tests.rigs.namespaces import ForbiddenError

PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    """The images that compose.yaml and compose.fleet.yaml build, by their names."""
    folder = tmp_path_factory.mktemp("images")
    try:
        wheels = _download_wheels(folder / "wheels")
        ours = build(ROOT / "Dockerfile", ROOT, folder / "ours", wheels=wheels)
        context = ROOT / "configs/container"
        theirs = build(context / "powerdns.Dockerfile", context, folder / "pdns")
    except (ForbiddenError, PermissionError, FileNotFoundError) as reason:
        pytest.skip(f"images cannot be made here: {reason}")
    return {"dnslb-backend": ours[""], "dnslb-pdns": theirs[""]}


def _download_wheels(folder: Path) -> Path:
    """What pip would get from the index, through the caches of this machine."""
    pip = [sys.executable, "-m", "pip", "--python", PYTHON, "wheel", "--quiet"]
    build = ["hatchling", "hatch-fancy-pypi-readme"]
    constraint = ["--constraint", str(ROOT / "configs/container/constraints.txt")]
    run(*pip, "--wheel-dir", str(folder), *constraint, f"{ROOT}[geo,grpc]", *build)
    return folder
