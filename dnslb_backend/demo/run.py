"""Running the demo: it starts everything, and watches or proves that answers follow health."""

import shlex
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from dnslb_backend.demo import DemoError
from dnslb_backend.demo.fleet import show_fleet
from dnslb_backend.demo.servers import START_LIMIT, NameServer, await_an_end
from dnslb_backend.demo.settings import (
    FIXED_PORTS,
    FLEET_WHAT_TO_TRY,
    HOST,
    WEB_ADDRESSES,
    WHAT_TO_TRY,
    ZONE,
    free_ports,
)
from dnslb_backend.demo.targets import WebServer, say, start_panel

FOLLOW_LIMIT = 5.0
"""Seconds after which an answer that has not followed counts as a failure."""


def run_demo(*, once: bool, fleet: bool) -> int:
    """Run the demo until Ctrl-C, or, with `once`, prove a failover; returns the exit code.

    `fleet` has three nodes decide together, and cuts one of them off.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            ports = free_ports() if once else FIXED_PORTS
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dnslb-demo-")))
            webs = {name: WebServer(a, ports.web) for name, a in WEB_ADDRESSES.items()}
            for web in webs.values():
                stack.callback(web.stop)
                web.start()
            if fleet:
                return _run_fleet(show_fleet(stack, ports, directory, webs), once=once)
            return _run_one(stack, NameServer("ns1", HOST, ports, directory), webs, once=once)
    except DemoError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        say("\ndemo: ended")
    return 0


def _run_one(
    stack: ExitStack, server: NameServer, webs: dict[str, WebServer], *, once: bool
) -> int:
    server.start(stack, quiet=once)
    server.await_answer("www", set(WEB_ADDRESSES.values()), START_LIMIT)
    if once:
        return _prove(server, webs)
    start_panel(stack, server.ports, webs)
    _say_what_to_try(WHAT_TO_TRY, server)
    await_an_end(server.processes)
    return 0


def _run_fleet(nodes: Sequence[NameServer], *, once: bool) -> int:
    if not once:
        _say_what_to_try(FLEET_WHAT_TO_TRY, nodes[0])
        await_an_end({name: each for node in nodes for name, each in node.processes.items()})
    return 0


def _say_what_to_try(text: str, server: NameServer) -> None:
    values = {**server.ports.by_name(), "host": server.host, "zone": ZONE, "token": server.token}
    programs = shlex.quote(sysconfig.get_path("scripts"))
    say(text.format(**values, config=shlex.quote(str(server.config)), programs=programs))


def _prove(server: NameServer, webs: dict[str, WebServer]) -> int:
    """Stop one target and see the answers follow; start it and see them return."""
    everyone = set(WEB_ADDRESSES.values())
    first = WEB_ADDRESSES["web1"]
    _show(server, "three web servers are healthy")
    webs["web1"].stop()
    say("stopped web1")
    took = server.await_answer("www", everyone - {first}, FOLLOW_LIMIT)
    server.await_answer("db", {WEB_ADDRESSES["web2"]}, FOLLOW_LIMIT)
    _show(server, f"the answer followed after {took:.1f} s")
    webs["web1"].start()
    say("started web1")
    took = server.await_answer("www", everyone, FOLLOW_LIMIT)
    server.await_answer("db", {first}, FOLLOW_LIMIT)
    _show(server, f"it is back after {took:.1f} s")
    say("demo: answers follow health")
    return 0


def _show(server: NameServer, what: str) -> None:
    say(f"{what}:")
    server.show_answers()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
