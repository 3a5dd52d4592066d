"""Where everything in the demo listens, and the configuration files that say so."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass

HOST = "127.0.0.1"
ZONE = "lb.example"
WEB_ADDRESSES = {"web1": "127.0.0.11", "web2": "127.0.0.12", "web3": "127.0.0.13"}

CONFIG = """\
[global]
domain_name = "{zone}"
node        = "{node}"

[server]
http = "{host}:{connector}"
unix = ""

[pdns]
control_socket = "{directory}/pdns.controlsocket"

[admin]
listen     = "{host}:{admin}"
token_file = "{directory}/admin.tokens"

[state]
path = "{directory}/state.sqlite"

[zones."{zone}"]
soa    = {{ mname = "ns1.{zone}.", rname = "hostmaster.{zone}." }}
ns     = ["ns1.{zone}."]
static = [{{ name = "ns1", type = "A", content = "{host}" }}]

[default]
ttl         = 5
{pace}
[records."www".A]      # every healthy server
dest = [
    {{ host = "127.0.0.11", labels = {{ dc = "fra" }} }},
    {{ host = "127.0.0.12", labels = {{ dc = "fra" }} }},
    {{ host = "127.0.0.13", labels = {{ dc = "ams" }} }},
]

[records."db".A]       # the first that is healthy, by priority
dest = [
    {{ host = "127.0.0.11", prio = 3, labels = {{ dc = "fra" }} }},
    {{ host = "127.0.0.12", prio = 2, labels = {{ dc = "fra" }} }},
    {{ host = "127.0.0.13", prio = 1, labels = {{ dc = "ams" }} }},
]
"""

PACE = """\
interval    = 1
timeout     = 0.5
dns_timeout = 0.4
check       = {{ type = "http", url = "http://%(address)s:{web}/health" }}
"""

POWERDNS = """\
launch=remote
remote-connection-string=http:url=http://{host}:{connector}/dns,timeout=2000
local-address={host}
local-port={dns}
socket-dir={directory}
daemon=no
guardian=no
write-pid=no
disable-syslog=yes
loglevel=3
# The daemon purges a name at the moment its answer changes.
cache-ttl=60
query-cache-ttl=60
negquery-cache-ttl=60
zone-cache-refresh-interval=5
consistent-backends=no
distributor-threads=3
max-queue-length=1000000
"""

WHAT_TO_TRY = """
It runs. In a browser:

  http://{host}:{admin}/                  every server, live
  token {token}            it asks for this when you drain one

In another terminal:

  export DNSLB_CONFIG={config} PATH={programs}:$PATH

  dig @{host} -p {dns} www.{zone}         three web servers answer
  dig @{host} -p {dns} db.{zone}          one serves, two are standby

  curl -X POST http://{host}:{panel}/web1/stop       stop one, and dig again
  curl -X POST http://{host}:{panel}/web1/start      bring it back
  curl http://{host}:{panel}/                        which of them run

  dnslb-backend status
  dnslb-backend drain 127.0.0.12 --for 1m

Every change is logged below. Ctrl-C ends everything.
"""


FLEET_HOSTS = {"ns1": "127.0.0.1", "ns2": "127.0.0.2", "ns3": "127.0.0.3"}

FLEET_TABLES = """
[mysql]
unix_socket = "{socket}"
user        = "root"
database    = "dnslb"

[quorum]               # the nodes decide together what is UP
"""

FLEET_PACE = """\
interval    = 2
timeout     = 1.5
dns_timeout = 0.4
check       = {{ type = "http", url = "http://%(address)s:{web}/health", token = "{node}" }}
"""

FLEET_WHAT_TO_TRY = """
In another terminal:

  export DNSLB_CONFIG={config} PATH={programs}:$PATH

  dig @{host} -p {dns} www.{zone}         ns1; ns2 and ns3 are at 127.0.0.2 and 127.0.0.3
  dnslb-backend nodes
  dnslb-backend explain www
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens on HOST; the web servers share one port on their addresses."""

    dns: int
    connector: int
    admin: int
    panel: int
    web: int

    def by_name(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


FIXED_PORTS = Ports(dns=5300, connector=8053, admin=8054, panel=8055, web=8056)


def free_ports() -> Ports:
    """Ports that are free at this moment, for TCP and UDP."""
    with ExitStack() as stack:
        numbers: list[int] = []
        while len(numbers) < len(Ports.__slots__):
            tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            tcp.bind((HOST, 0))
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            numbers.append(tcp.getsockname()[1])
    return Ports(*numbers)
