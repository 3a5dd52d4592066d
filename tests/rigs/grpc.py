"""A real gRPC server, of the reference implementation, with the standard health service."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import trustme

from tests.rigs.ports import free_port
from tests.rigs.server import Server

ROOT = Path(__file__).parents[2]


class GrpcServer(Server):
    """`names` are the names in its certificate, which is from `authority`.

    Services: `""` and `up` serve, `down` does not, `new` is UNKNOWN, `odd` is SERVICE_UNKNOWN.
    """

    name = "grpc"

    def __init__(self, authority: trustme.CA, *names: str) -> None:
        super().__init__(environment={"PYTHONPATH": os.fspath(ROOT)})
        self.plain, self.secure, self.mutual, self.bare = (free_port() for _ in range(4))
        issued = authority.issue_cert(*names)
        issued.private_key_pem.write_to_path(str(self.directory / "key.pem"))
        for blob in issued.cert_chain_pems:
            blob.write_to_path(str(self.directory / "chain.pem"), append=True)
        authority.cert_pem.write_to_path(str(self.directory / "authority.pem"))

    def command(self) -> list[str]:
        ports = map(str, (self.plain, self.secure, self.mutual, self.bare))
        files = (str(self.directory / f"{name}.pem") for name in ("key", "chain", "authority"))
        return [sys.executable, "-m", "tests.rigs.grpc_target", *ports, *files]

    async def answers(self) -> bool:
        for port in (self.plain, self.bare):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                continue
            return False
        return True
