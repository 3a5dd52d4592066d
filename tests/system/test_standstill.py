"""A daemon that stands still for seconds: PowerDNS survives it, and no target is blamed for it."""

from pathlib import Path

from tests.rigs.daemon import ROOT, Daemon, follows
from tests.rigs.powerdns import PowerDNS
from tests.rigs.targets import farm
from tests.rigs.waiting import passes, until
from tests.system.load import load
from tests.system.writing import FINE, config, http, record

SHIPPED = ROOT / "pdns" / "pdns-http.conf"
RATE = 3000
"""Questions a second: so many that PowerDNS's default limit of its queue would end it."""
STANDSTILL = 3
SECONDS = 5
"""How long the load lasts."""


def shipped(daemon: Daemon) -> PowerDNS:
    """A pdns_server as we ship it, but for its own address and the daemon's."""
    remote = daemon.powerdns().settings["remote-connection-string"]
    return PowerDNS({"remote-connection-string": remote}, conf=SHIPPED.read_text())


async def serves(pdns: PowerDNS, addresses: set[str]) -> bool:
    """Whether it answers so; while its queue is long it may drop a question."""
    try:
        answer = await pdns.ask("www.lb.example")
    except TimeoutError:
        return False
    return answer.addresses == addresses


async def test_a_daemon_frozen_under_load_costs_no_name_server_and_no_member(
    tmp_path: Path,
) -> None:
    async with farm(3) as targets:
        everybody = {target.host for target in targets}
        quick = record("www", dest=[*everybody], check=http(targets[0].port))
        command = record("command", dest=["192.0.2.1"], check=FINE)
        async with Daemon(config(quick, command)) as daemon, shipped(daemon) as pdns:
            await follows(pdns, "www.lb.example", everybody)
            names = ["www.lb.example", "command.lb.example"]
            async with load(pdns, names, tmp_path, rate=RATE, seconds=SECONDS) as questions:
                await targets[0].probed(2)
                daemon.pause()
                await passes(STANDSTILL)
                assert pdns.alive
                daemon.resume()
                await until(lambda: serves(pdns, everybody))
                for target in targets:
                    await target.probed(2)
                await questions.ends()
            assert questions.codes["NOERROR"] > 0
            assert set(questions.codes) <= {"NOERROR", "SERVFAIL"}
            # It is the pdns_server that was started, and it answers everything again.
            assert pdns.alive
            assert pdns.log.count("ready to distribute") == 1
            for _ in range(100):
                assert (await pdns.ask("www.lb.example")).addresses == everybody
            assert "DOWN" not in daemon.log
            assert "no longer served" not in daemon.log


async def test_a_short_standstill_between_probes_is_no_failure_either() -> None:
    async with farm(2) as targets:
        everybody = {target.host for target in targets}
        www = record("www", dest=[*everybody], check=http(targets[0].port))
        async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
            for _ in range(2):
                # In the middle of a probe, whose answer is then found late.
                targets[0].hang()
                await targets[0].probed()
                daemon.pause()
                targets[0].heal()
                await passes(1)
                daemon.resume()
                await targets[0].probed(2)
            assert (await pdns.ask("www.lb.example")).addresses == everybody
            assert "DOWN" not in daemon.log
