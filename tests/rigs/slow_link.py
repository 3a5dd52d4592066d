"""A link that is slow: python -m tests.rigs.slow_link SECONDS CABLE NETWORK..

Run in a network namespace, it takes what is sent to the networks, and passes each packet on over
CABLE so many seconds later. It writes a line once it does, and ends when its input is closed.
"""

import asyncio
import fcntl
import os
import socket
import struct
import subprocess
import sys

DEVICE = "slow"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def tunnel() -> int:
    """The descriptor of a device that gives this process each packet that is routed to it."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    return device


def route(cable: str, networks: list[str]) -> None:
    commands = [["link", "set", DEVICE, "up"]]
    for network in networks:
        commands.append(["route", "add", network, "dev", DEVICE, "metric", "1"])
        # The way that remains for what this process sends over the cable.
        commands.append(["route", "add", network, "dev", cable, "metric", "2"])
    for words in commands:
        subprocess.run(["ip", *words], check=True)


async def main(seconds: float, cable: str, networks: list[str]) -> None:
    loop = asyncio.get_running_loop()
    device = tunnel()
    route(cable, networks)
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, cable.encode())

    def forward() -> None:
        packet = os.read(device, 65536)
        if packet[0] >> 4 == 4:
            destination = socket.inet_ntoa(packet[16:20])
            loop.call_later(seconds, out.sendto, packet, (destination, 0))

    loop.add_reader(device, forward)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    print("ready", flush=True)  # noqa: T201 - whoever started it waits for this line
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2], sys.argv[3:]))
