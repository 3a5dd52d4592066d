"""The instruments: what is counted where, and that labels stay few."""

import asyncio
import re
import time

from dnslb_backend import metrics
from dnslb_backend.metrics import REGISTRY
from tests.rigs.waiting import until


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_every_name_has_our_prefix_and_a_unit_or_count() -> None:
    for family in REGISTRY.collect():
        assert family.name.startswith("dnslb_")
        assert family.documentation
        assert not family.name.endswith("_ms")


def test_a_lookup_is_counted_once_under_its_transport_and_outcome() -> None:
    meter = metrics.LookupMeter("unix")

    def shown() -> tuple[float, float, float]:
        bucket = "dnslb_lookup_duration_seconds_bucket"
        return (
            value("dnslb_lookups_total", transport="unix", outcome="nodata"),
            value(bucket, transport="unix", le="1e-05"),
            value(bucket, transport="unix", le="2.5e-05"),
        )

    # The registry is the process's own: other tests have counted in it before.
    count, quick, slower = shown()
    meter.count("nodata", 2e-5)
    assert shown() == (count + 1, quick, slower + 1)


def test_counting_a_lookup_costs_next_to_nothing() -> None:
    meter = metrics.LookupMeter("pipe")
    began = time.thread_time()
    for _ in range(10_000):
        meter.count("found", 1e-4)
    # 1.3 microseconds each on an idle machine; CPU time, since others use it.
    assert (time.thread_time() - began) / 10_000 < 50e-6


def test_a_probe_that_was_our_fault_is_an_error_as_well() -> None:
    errors = value("dnslb_errors_total", component="check")
    metrics.count_probe("http", "fail", 0.2)
    assert value("dnslb_errors_total", component="check") == errors
    before = value("dnslb_checks_total", kind="http", outcome="error")
    metrics.count_probe("http", "error", 0.2)
    assert value("dnslb_checks_total", kind="http", outcome="error") == before + 1
    assert value("dnslb_errors_total", component="check") == errors + 1


def test_a_refused_reload_shows_until_one_succeeds() -> None:
    metrics.count_reload(False)
    assert value("dnslb_last_reload_ok") == 0
    metrics.count_reload(True)
    assert value("dnslb_last_reload_ok") == 1


async def test_a_snapshot_grows_older_until_the_next() -> None:
    metrics.snapshot_swapped()
    await until(lambda: value("dnslb_snapshot_age_seconds") > 0.01, what="it grows older")
    swapped = time.monotonic()
    metrics.snapshot_swapped()
    assert value("dnslb_snapshot_age_seconds") <= time.monotonic() - swapped


async def test_a_loop_that_stood_still_is_measured() -> None:
    loop = asyncio.get_running_loop()
    measuring = asyncio.create_task(metrics.measure_loop_delay(0.01))

    def late() -> float:
        every = value("dnslb_event_loop_delay_seconds_count")
        return every - value("dnslb_event_loop_delay_seconds_bucket", le="0.1")

    before = late()
    count = value("dnslb_event_loop_delay_seconds_count")
    await until(lambda: value("dnslb_event_loop_delay_seconds_count") > count, what="a measure")
    stand_still = loop.time() + 0.2
    while loop.time() < stand_still:
        pass
    await until(lambda: late() > before, what="the delay is seen")
    measuring.cancel()


def test_series_that_alerts_ask_for_exist_before_anything_happens() -> None:
    for component in ("check", "scheduler", "mirror"):
        assert REGISTRY.get_sample_value("dnslb_errors_total", {"component": component}) is not None
    assert REGISTRY.get_sample_value("dnslb_reloads_total", {"result": "refused"}) is not None


def test_build_information() -> None:
    (info,) = [family for family in REGISTRY.collect() if family.name == "dnslb_build"]
    labels = info.samples[0].labels
    assert re.fullmatch(r"\d+\.\d+.*", labels["version"])
    assert labels["python"].startswith("3.")
