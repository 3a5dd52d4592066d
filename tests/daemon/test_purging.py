"""Whether a daemon misses a channel to PowerDNS depends on whether any PowerDNS asks it."""

import pytest

from tests.rigs.daemon import Daemon


class Witness(Daemon):
    """A daemon that no PowerDNS can ask."""

    def configure(self, config: str) -> None:
        super().configure(config)
        text = self.config_file.read_text().replace(f'http = "{self.http}"', 'http = ""')
        self.config_file.write_text(text)


@pytest.mark.parametrize("kind", [Daemon, Witness])
async def test_a_channel_is_missed_where_a_powerdns_asks(kind: type[Daemon]) -> None:
    async with kind("[global]\ndomain_name = 'lb.example'\n[server]\nunix = ''\n") as daemon:
        _, shown = await daemon.get("/readyz")
        assert ("purge" in shown["details"]) is (kind is Daemon)
        # This line is written by the mirror, which starts after the purger.
        await daemon.logged("connected, mirroring")
        assert ("no [pdns] channel" in daemon.log) is (kind is Daemon)
