"""The services of a compose file, run in images without an engine.

What is honoured: build and image, entrypoint and command, init, environment, volumes, secrets,
tmpfs, read_only, the user and the health check of the image. Privileges are dropped for every
service. Its network is `inside`; names of other services lead to 127.0.0.1 there, until a file
with addresses is mounted at /etc/hosts.
"""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.packaging.images import Image
from tests.rigs.server import Server

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"
COMPOSE_FLEET = ROOT / "compose.fleet.yaml"
HTTP_VARIANT = ROOT / "configs/container/compose.http.yaml"


def read_compose(*overrides: Path, base: Path = COMPOSE) -> dict[str, Any]:
    """`base` with other files laid over it: of volumes the one for a path replaces."""
    merged: dict[str, Any] = yaml.safe_load(base.read_text())
    for path in overrides:
        for name, changes in yaml.safe_load(path.read_text())["services"].items():
            service = merged["services"][name]
            assert set(changes) == {"volumes"}
            taken = {target_of(volume) for volume in changes["volumes"]}
            kept = [each for each in service["volumes"] if target_of(each) not in taken]
            service["volumes"] = kept + changes["volumes"]
    return merged


def target_of(volume: str) -> str:
    """Where SOURCE:TARGET[:ro] is mounted."""
    return volume.split(":")[1]


class Service(Server):
    """One service of a compose file, in `image`. `folder` has the volumes and the secrets.

    `async with` waits until its health check passes.
    """

    name = "service"

    def __init__(
        self,
        service: Mapping[str, Any],
        image: Image,
        folder: Path,
        *,
        inside: Sequence[str],
    ) -> None:
        super().__init__(inside=inside)
        self.service = service
        self.folder = folder
        environment = image.environment | service.get("environment", {})
        self.image = Image(image.stage, image.root, environment)
        self.mounts = self._mounts()

    @property
    def user(self) -> str:
        return self.image.stage.last("USER").text

    def command(self) -> list[str]:
        if "entrypoint" in self.service:
            argv = [*self.service["entrypoint"], *self.service.get("command", [])]
        else:
            own = self.service.get("command", self.image.stage.last("CMD").words)
            argv = [*self.image.stage.last("ENTRYPOINT").words, *own]
        if self.service.get("init"):
            argv = ["tini", "--", *argv]
        return self.image.command(argv, *self.mounts, user=self.user)

    async def answers(self) -> bool:
        """What the engine would find with the health check of the image, where it is not off."""
        if self.service.get("healthcheck", {}).get("disable"):
            return self.alive
        code, _ = await self.run(self.image.stage.health_check)
        return code == 0

    async def run(self, argv: list[str]) -> tuple[int, str]:
        """`docker compose exec`: exit code and output of a command in the running service."""
        command = [*self.inside, *self.image.command(argv, *self.mounts, user=self.user)]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()

    def _mounts(self) -> list[str]:
        mounts: list[str] = []
        for volume in self.service.get("volumes", []):
            source, target, *mode = volume.split(":")
            is_path = source.startswith((".", "/"))
            path = ROOT / source if is_path else self._volume(source, target)
            mounts += ["ro" if mode == ["ro"] else "rw", str(path), target]
            self._prepare(target, is_folder=path.is_dir())
        for secret in self.service.get("secrets", []):
            target = f"/run/secrets/{secret}"
            mounts += ["ro", str(self.folder / "secrets" / secret), target]
            self._prepare(target, is_folder=False)
        for target in self.service.get("tmpfs", []):
            mounts += ["tmpfs", target]
        return [*mounts, "sealed"] if self.service.get("read_only") else mounts

    def _volume(self, name: str, target: str) -> Path:
        """A named volume; a new one has the contents and the owner of the image's folder."""
        path = self.folder / "volumes" / name
        if not path.exists():
            original = self.image.root / target.lstrip("/")
            shutil.copytree(original, path)
            status = original.stat()
            os.chown(path, status.st_uid, status.st_gid)
        return path

    def _prepare(self, target: str, *, is_folder: bool) -> None:
        """Something to mount upon, as engines make it."""
        path = self.image.root / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_folder:
            path.mkdir(exist_ok=True)
        elif not path.exists():
            path.touch()
