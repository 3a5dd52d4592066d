"""Which version of PowerDNS is at the other end of each channel; it may be upgraded meanwhile."""

import asyncio
from collections.abc import Callable, Sequence

from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.model.zones import ASSUMED_VERSION, PdnsVersion
from dnslb_backend.pdns.cache.channels import Channel, ChannelError
from dnslb_backend.pdns.settings import parse_version

log = ComponentLog(__name__, "purge")

INTERVAL, RETRY_PAUSE = 30.0, 1.0
"""Seconds until a PowerDNS is asked again, and until one is that did not answer."""

ANSWER_TIMEOUT = 2.0


class Versions:
    """The versions that the PowerDNS of `channels` report; `configured` counts until one does."""

    def __init__(self, channels: Sequence[Channel], configured: PdnsVersion | None) -> None:
        self._channels = channels
        self._configured = configured

    @property
    def oldest(self) -> PdnsVersion:
        """The version to write for: no content is right for all where they differ."""
        texts = (channel.reported_version for channel in self._channels)
        reported = [version for text in texts if (version := parse_version(text))]
        return min(reported, default=self._configured or ASSUMED_VERSION)

    async def ask(self) -> None:
        """Ask all of them, once."""
        await asyncio.gather(*(self._ask(channel) for channel in self._channels))

    async def follow(self, changed: Callable[[], None]) -> None:
        """Ask until cancelled; `changed` is called when one reports another version than before."""
        async with asyncio.TaskGroup() as group:
            for channel in self._channels:
                group.create_task(self._follow(channel, changed), name=f"version of {channel.name}")

    async def _follow(self, channel: Channel, changed: Callable[[], None]) -> None:
        while True:
            before = channel.reported_version
            is_answered = await self._ask(channel)
            if channel.reported_version != before:
                changed()
            await asyncio.sleep(INTERVAL if is_answered else RETRY_PAUSE)

    async def _ask(self, channel: Channel) -> bool:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                reported = await channel.ask_version()
        except (TimeoutError, ChannelError):
            return False  # a purge says what is wrong
        if reported != channel.reported_version:
            _log_version(channel, reported)
            channel.reported_version = reported
            if channel.shortcoming:
                log.error("cannot purge everything: %s: %s", channel.name, channel.shortcoming)
            self._log_differences()
        return True

    def _log_differences(self) -> None:
        reported = {each.name: each.reported_version for each in self._channels}
        found = sorted((name, text) for name, text in reported.items() if text)
        if len({parse_version(text) for _, text in found}) > 1:
            shown = ", ".join(f"{text} at {name}" for name, text in found)
            log.warning(
                "PowerDNS has several versions (%s); contents are written for %d.%d",
                *(shown, *self.oldest),
            )


def _log_version(channel: Channel, version: str) -> None:
    if before := channel.reported_version:
        log.warning("PowerDNS at %s has version %s now, it had %s", channel.name, version, before)
    else:
        log.info("PowerDNS at %s has version %s", channel.name, version)
