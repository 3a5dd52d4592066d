"""Pings, each in a network of its own: what it allows and who answers is ours to choose."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.checkers.checks.kinds.icmp import echo_request

ROOT = Path(__file__).parents[4]
UP = "ip link set lo up"
NOT_PRIVILEGED = "echo '1 0' >/proc/sys/net/ipv4/ping_group_range"
UNPRIVILEGED = "echo '0 0' >/proc/sys/net/ipv4/ping_group_range"
SILENT = "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all"
UNPRIVILEGED_ONLY = "setpriv --bounding-set -net_raw --inh-caps -net_raw --reuid 0"

PROBE = """
import asyncio, json, sys
from dnslb_backend.checkers.checks.base import ProbeEndpoint, run_probe
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources

async def main():
    address, table = sys.argv[1], {"type": "icmp", **json.loads(sys.argv[2])}
    async with CheckResources() as tools:
        result = await run_probe(parse_check(table), ProbeEndpoint(address), 0.5, tools)
    print(json.dumps([result.outcome, result.code, result.text]))

asyncio.run(main())
"""


async def ping(
    *network: str, address: str = "127.0.0.1", keys: dict[str, Any] | None = None, as_whom: str = ""
) -> tuple[str, int, str]:
    """Outcome, code and text of a probe in a network that `network` (commands) set up."""
    script = "\n".join(["set -e", *network, f'exec {as_whom} "$@"'])
    # Whoever may not make a network may make one in a user namespace.
    spaces = ["--net", "--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        spaces += ["--user", "--map-root-user"]
    process = await asyncio.create_subprocess_exec(
        *("unshare", *spaces, "sh", "-c", script, "sh"),
        *(sys.executable, "-c", PROBE, address, json.dumps(keys or {})),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    outcome, code, text = json.loads(output)
    return outcome, code, text


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("group", "as_whom"),
    [(NOT_PRIVILEGED, ""), (UNPRIVILEGED, ""), (UNPRIVILEGED, UNPRIVILEGED_ONLY)],
    ids=["raw", "either", "unprivileged"],
)
async def test_a_host_that_is_there(address: str, group: str, as_whom: str) -> None:
    outcome, code, text = await ping(UP, group, address=address, as_whom=as_whom)
    assert (outcome, code) == ("pass", 0)
    assert text.startswith("reply after ")


async def test_without_permission_it_is_our_fault() -> None:
    outcome, code, text = await ping(UP, NOT_PRIVILEGED, as_whom=UNPRIVILEGED_ONLY)
    assert (outcome, code) == ("error", -3)
    assert "net.ipv4.ping_group_range" in text
    assert "CAP_NET_RAW" in text


@pytest.mark.parametrize("group", [NOT_PRIVILEGED, UNPRIVILEGED], ids=["raw", "unprivileged"])
@pytest.mark.parametrize("count", [1, 3])
async def test_a_host_that_does_not_answer(group: str, count: int) -> None:
    answer = await ping(UP, group, SILENT, keys={"count": count})
    assert answer == ("fail", -2, "no answer within 0.5 s")


async def test_a_second_request_makes_up_for_a_lost_one() -> None:
    """The network answers once it has ignored a request."""
    ignored = "until grep -q InType8 /proc/net/snmp; do sleep 0.01; done"
    heals = f"({ignored}; echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_all) &"
    outcome, _, _ = await ping(UP, UNPRIVILEGED, SILENT, heals, keys={"count": 10})
    assert outcome == "pass"


FORGER = """
import socket
echo_reply = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
while True:
    echo_reply.sendto(bytes([0, 0, 255, 255, 0, 0, 0, 0]) + bytes(56), ("127.0.0.1", 0))
"""


async def test_somebody_elses_reply_does_not_count() -> None:
    forge = f"{sys.executable} -c '{FORGER}' &"
    answer = await ping(UP, NOT_PRIVILEGED, SILENT, forge)
    assert answer == ("fail", -2, "no answer within 0.5 s")


ELSEWHERE = """
import socket
icmp = socket.IPPROTO_ICMP
hears = socket.socket(socket.AF_INET, socket.SOCK_RAW, icmp)
says = socket.socket(socket.AF_INET, socket.SOCK_RAW, icmp)
says.bind((SOURCE, 0))
print("ready", flush=True)
while True:
    packet = hears.recv(65536)[20:]
    if packet[0] == 8:
        total = int.from_bytes(packet[2:4], "big") + 0x0800
        checksum = (total & 0xFFFF) + (total >> 16)
        says.sendto(bytes([0, 0]) + checksum.to_bytes(2, "big") + packet[4:], ("127.0.0.1", 0))
"""


@pytest.mark.parametrize("group", [NOT_PRIVILEGED, UNPRIVILEGED], ids=["raw", "unprivileged"])
@pytest.mark.parametrize(("source", "outcome"), [("127.0.0.1", "pass"), ("127.0.0.2", "fail")])
async def test_the_reply_must_come_from_the_address(
    tmp_path: Path, group: str, source: str, outcome: str
) -> None:
    script, ready = tmp_path / "elsewhere.py", tmp_path / "ready"
    script.write_text(ELSEWHERE.replace("SOURCE", repr(source)))
    answers = f"{sys.executable} {script} >{ready} & until test -s {ready}; do sleep 0.02; done"
    assert (await ping(UP, group, SILENT, answers))[0] == outcome


async def test_no_route_is_our_fault() -> None:
    answer = await ping(UP, UNPRIVILEGED, address="192.0.2.1")
    assert answer == ("error", -3, "Network is unreachable")


async def test_a_host_that_a_router_cannot_reach() -> None:
    answer = await ping(UP, "ip route add unreachable 192.0.2.0/24", address="192.0.2.1")
    assert answer == ("fail", -4, "No route to host")


def test_the_checksum() -> None:
    """The sum over a packet with its checksum, in ones' complement, is 0xFFFF (RFC 1071)."""
    for payload in (b"", b"x", b"\xff" * 56, bytes(range(57))):
        packet = echo_request(8, 1, payload)
        packet += b"\0" * (len(packet) % 2)
        total = sum(
            int.from_bytes(packet[index : index + 2], "big") for index in range(0, len(packet), 2)
        )
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        assert total == 0xFFFF
