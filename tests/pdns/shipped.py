"""The files of pdns/, told where the connector of a test is."""

import os
import re
import sys
from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "pdns"

# What the files name is what stands in dnslb.toml when nobody says otherwise.
PORT = "127.0.0.1:8053"
SOCKET = "/run/dnslb/pdns.sock"
PROGRAM = "/usr/bin/dnslb-backend"

BY_SOCKET = ["pdns-unix.conf", "pdns-pipe.conf", "pdns-launch-pipe.conf"]


def text(name: str, *, port: int = 0, path: str = "") -> str:
    """A shipped file that is told where this test's connector is."""
    shipped = (SHIPPED / name).read_text()
    assert (PORT in shipped) is bool(port)
    assert (SOCKET in shipped) is bool(path)
    program = f"{Path(sys.executable).parent}/dnslb-backend"
    if os.geteuid() != 0:
        # Only root and the user of PowerDNS may become that group.
        shipped = shipped.replace("setgid=pdns\n", "")
    return (
        shipped.replace(PORT, f"127.0.0.1:{port}").replace(SOCKET, path).replace(PROGRAM, program)
    )


def settings(conf: str) -> dict[str, str | int]:
    """What it says where the rig has values of its own."""
    pairs = re.findall(r"^([a-z-]+)=(.*)$", conf, re.MULTILINE)
    return {key: value for key, value in pairs if key.endswith(("-ttl", "-backends"))}
