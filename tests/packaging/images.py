"""Images without an engine: the steps of a Dockerfile, run in a root directory of their own.

    /usr      this machine's, read-only: it stands for the base image and for what apt-get brings
    /etc      the distribution's users and groups, and what programs need to run
    the rest  what the steps make

Every step but apt-get runs as it stands, in a mount namespace with that root.
"""

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.packaging.dockerfile import Stage, is_sent, read
from tests.rigs.namespaces import ForbiddenError
from tests.rigs.server import executable

LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
FOLDERS = ("usr", "usr-local", "dev", "proc", "run/secrets", "tmp", "etc", "var/lib", "opt")
ETC = ("ssl", "ld.so.cache", "nsswitch.conf", "login.defs", "alternatives", "python3.11")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ENTER = """
set -eu
root=$1; shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind /usr "$root/usr"
mount -o remount,ro,bind "$root/usr"
mount --bind "$root/usr-local" "$root/usr/local"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do
    case $1 in
    tmpfs) mount -t tmpfs tmpfs "$root$2"; shift 2 ;;
    ro) mount --bind "$2" "$root$3"; mount -o remount,ro,bind "$root$3"; shift 3 ;;
    rw) mount --bind "$2" "$root$3"; shift 3 ;;
    sealed) mount -o remount,ro,bind "$root"; shift ;;
    esac
done
shift
cd "$root"
exec "$@"
"""
"""ROOT [ro|rw SOURCE TARGET] [tmpfs TARGET] [sealed] -- COMMAND: run it where ROOT is ready."""


@dataclass(slots=True)
class Image:
    """A stage that was built: its root directory, and what it says of itself."""

    stage: Stage
    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(
        self, argv: list[str], *mounts: str, user: str = "", inside: str = "/"
    ) -> list[str]:
        """A command line that runs `argv` in this image, as `user` (UID:GID) where one is given."""
        uid, _, gid = user.partition(":")
        drop = [
            executable("setpriv"),
            *(("--reuid", uid, "--regid", gid, "--clear-groups") if uid else ()),
            *(("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all") if uid else ()),
        ]
        environment = [f"{key}={value}" for key, value in self.environment.items()]
        return [
            *(executable("unshare"), "--mount", "sh", "-c", ENTER, "enter", str(self.root)),
            *mounts,
            *("--", executable("chroot"), str(self.root), *drop),
            *("env", "-i", f"--chdir={inside}", f"PATH={PATH}", *environment, *argv),
        ]


def build(
    dockerfile: Path, context: Path, folder: Path, *, wheels: Path | None = None
) -> dict[str, Image]:
    """Run the steps of all stages; the images by the names of their stages, the last one's is "".

    What pip wants it finds in `wheels`. ForbiddenError where roots cannot be made.
    """
    if os.geteuid() != 0:
        raise ForbiddenError("only root may make images")
    images: dict[str, Image] = {}
    for number, stage in enumerate(read(dockerfile)):
        image = Image(stage, _root(folder / str(number)), dict(stage.environment))
        images[stage.name] = image
        _build_stage(image, context, images, wheels)
    return images


def _build_stage(
    image: Image, context: Path, images: dict[str, Image], wheels: Path | None
) -> None:
    where = "/"
    offline = Image(image.stage, image.root, dict(image.environment))
    mounts: list[str] = []
    if wheels is not None:
        offline.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
        (image.root / "wheels").mkdir()
        mounts = ["ro", str(wheels), "/wheels"]
    for step in image.stage.instructions:
        if step.name == "WORKDIR":
            where = step.text
            (image.root / where.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.name == "COPY":
            *sources, target = step.words
            source = images[step.flags["from"]].root if "from" in step.flags else context
            if source is context:
                assert all(is_sent(path, context / ".dockerignore") for path in sources)
            _copy(source, sources, image.root / where.lstrip("/") / target.lstrip("/"))
        elif step.name == "RUN":
            for line in _without_apt(Stage("", "", [step]).commands):
                run(*offline.command(["sh", "-ec", line], *mounts, inside=where))


def _copy(source: Path, names: list[str], target: Path) -> None:
    """COPY: files into a folder, and of a folder its contents."""
    for name in names:
        found = source / name.lstrip("/")
        if found.is_dir():
            hidden = shutil.ignore_patterns("__pycache__")
            shutil.copytree(found, target, symlinks=True, dirs_exist_ok=True, ignore=hidden)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, target)


def _without_apt(lines: list[str]) -> list[str]:
    """What is left to do where the packages are there already."""
    return [line for line in lines if shlex.split(line)[0] not in ("apt-get", "rm")]


def _root(directory: Path) -> Path:
    """A root directory as the base image has it."""
    for name in FOLDERS:
        (directory / name).mkdir(parents=True)
    for name in LINKS:
        if Path("/", name).is_symlink():
            (directory / name).symlink_to(f"usr/{name}")
    (directory / "tmp").chmod(0o1777)
    for name in ETC:
        path = Path("/etc", name)
        if path.is_dir():
            shutil.copytree(path, directory / "etc" / name, symlinks=True)
        elif path.exists():
            shutil.copy(path, directory / "etc" / name)
    for name in ("passwd", "group"):
        shutil.copy(f"/usr/share/base-passwd/{name}.master", directory / "etc" / name)
    (directory / "etc/hosts").write_text("127.0.0.1 localhost dnslb mariadb\n")
    return directory


def run(*command: str) -> None:
    """Run a command to its end; AssertionError with what it wrote if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}{done.stderr}"
