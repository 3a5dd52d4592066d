"""/etc/hosts, beside what getaddrinfo of this system makes of the same file."""

import json
import os
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from dnslb_backend.checkers.schedule.hosts_file import HostsFile
from dnslb_backend.checkers.schedule.resolver import Resolver
from dnslb_backend.core.health.resolutions import Status
from tests.rigs.ports import free_port
from tests.rigs.waiting import until

HOSTS = """
# 192.0.2.99 commented
10.0.0.1 web1
10.0.0.2 web1
10.0.0.2 web2
10.0.0.5 old
10.0.0.6 new
10.0.0.5 new
10.0.1.1 a.x b.x
10.0.1.2 b.x c.x
10.0.1.3 c.x # d.x
   10.0.2.1\tIndented   UPPER#comment
2001:DB8::1 six web1
::1 loop
::ffff:192.0.2.7 mapped
fe80::1%lo scoped
10.0.3 short
nonsense bad
10.0.0.300 wrong
10.0.4.1 twice twice
10.0.4.1 twice
10.0.5.1
10.0.6.1 dot.
"""
NAMES = (
    *("web1", "WEB2", "old", "new", "a.x", "b.x", "c.x", "d.x", "indented", "upper", "commented"),
    *("six", "loop", "mapped", "scoped", "short", "bad", "wrong", "twice", "dot", "dot.", "web1."),
)
ASK = """
import json, socket, sys
found = {}
for name in sys.argv[1:]:
    for family in "A", "AAAA":
        kind = socket.AF_INET if family == "A" else socket.AF_INET6
        try:
            rows = socket.getaddrinfo(name, 1, kind, socket.SOCK_STREAM)
        except OSError:
            rows = []
        found[name + " " + family] = sorted({row[4][0] for row in rows})
print(json.dumps(found))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text(HOSTS)
    return path


def rewrite(path: Path, text: str | None) -> None:
    path.unlink()
    if text is not None:
        path.write_text(text)


def getaddrinfo(path: Path) -> dict[str, list[str]]:
    """What this system says of every name with that file for its /etc/hosts, and no DNS."""
    (path.parent / "nsswitch").write_text("hosts: files\n")
    script = """
    mount --bind $1 /etc/hosts && mount --bind $2 /etc/nsswitch.conf && shift 2 && exec "$@"
    """
    files = [str(path), str(path.parent / "nsswitch")]
    asked = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "-", *files, sys.executable, "-c", ASK, *NAMES],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if "permitted" in asked.stderr:
        pytest.skip("namespaces cannot be made here")
    answers: dict[str, list[str]] = json.loads(asked.stdout)
    return answers


async def test_it_reads_the_file_as_getaddrinfo_does(path: Path) -> None:
    expected = getaddrinfo(path)
    file = HostsFile(path)
    for name in NAMES:
        for family in ("A", "AAAA"):
            found = await file.addresses(name, family)
            wanted = {str(ip_address(text)) for text in expected[f"{name} {family}"]}
            assert found == wanted, f"{name} {family}"
    assert expected["WEB2 A"] == ["10.0.0.2"]


async def test_a_name_has_the_addresses_of_its_own_lines_only(path: Path) -> None:
    async with Resolver([f"127.0.0.1:{free_port()}"], path) as resolver:
        assert (await resolver.resolve("web2", "A", 2)).addresses == ("10.0.0.2",)
        assert (await resolver.resolve("new", "A", 2)).addresses == ("10.0.0.5", "10.0.0.6")
        assert (await resolver.resolve("six", "AAAA", 2)).addresses == ("2001:db8::1",)
        # What is not in the file is asked of the name server, which is not there.
        assert (await resolver.resolve("six", "A", 2)).status is Status.FAILED


async def test_a_change_of_the_file_is_noticed_and_its_absence_is_no_failure(path: Path) -> None:
    file = HostsFile(path)
    assert await file.addresses("old", "A") == {"10.0.0.5"}
    rewrite(path, "10.0.0.77 old\n")

    async def old() -> set[str]:
        return await file.addresses("old", "A")

    async def is_changed() -> bool:
        return await old() == {"10.0.0.77"}

    await until(is_changed)
    rewrite(path, None)

    async def is_gone() -> bool:
        return await old() == set()

    await until(is_gone)


async def test_a_file_that_cannot_be_read_fails_and_what_was_read_last_holds(path: Path) -> None:
    pipe = path.parent / "pipe"
    os.mkfifo(pipe)
    async with Resolver([f"127.0.0.1:{free_port()}"], pipe) as resolver:
        assert (await resolver.resolve("web1", "A", 2)).status is Status.FAILED
    file = HostsFile(path)
    assert await file.addresses("web2", "A") == {"10.0.0.2"}
    rewrite(path, None)
    os.mkfifo(path)
    for _ in range(3):
        file._next_check = 0.0
        assert await file.addresses("web2", "A") == {"10.0.0.2"}
