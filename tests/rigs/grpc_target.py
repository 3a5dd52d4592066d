"""A gRPC server with the standard health service, as a program: see tests.rigs.grpc.

Arguments: the ports for plain text, TLS, TLS with client certificates, and one without the health
service; then the files with key, certificate chain and authority.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

STATES = {
    "": health_pb2.HealthCheckResponse.SERVING,
    "up": health_pb2.HealthCheckResponse.SERVING,
    "down": health_pb2.HealthCheckResponse.NOT_SERVING,
    "new": health_pb2.HealthCheckResponse.UNKNOWN,
    "odd": health_pb2.HealthCheckResponse.SERVICE_UNKNOWN,
}


def main() -> None:
    plain, secure, mutual, bare = map(int, sys.argv[1:5])
    key, chain, authority = (Path(file).read_bytes() for file in sys.argv[5:8])
    pool = ThreadPoolExecutor(4)
    servers = [grpc.server(pool), grpc.server(pool)]
    servicer = health.HealthServicer()
    for service, state in STATES.items():
        servicer.set(service, state)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, servers[0])
    own = [(key, chain)]
    servers[0].add_insecure_port(f"127.0.0.1:{plain}")
    servers[0].add_secure_port(f"127.0.0.1:{secure}", grpc.ssl_server_credentials(own))
    asking = grpc.ssl_server_credentials(own, authority, require_client_auth=True)
    servers[0].add_secure_port(f"127.0.0.1:{mutual}", asking)
    servers[1].add_insecure_port(f"127.0.0.1:{bare}")
    for server in servers:
        server.start()
    servers[0].wait_for_termination()


if __name__ == "__main__":
    main()
