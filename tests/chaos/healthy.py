"""Targets that are always well, in a process that nothing else delays.

python -m tests.chaos.healthy PORT ADDRESS.. serves HTTP there, until standard input ends.
"""

import asyncio
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Healthy(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER)
        self._transport.close()


async def main(port: int, hosts: list[str]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Healthy, hosts, port, backlog=1024)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    print("ready", flush=True)  # noqa: T201 - the test waits for it
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
