"""What is run: Debian releases with newest or lowest dependencies, and the suites."""

from dataclasses import dataclass

SUITES: dict[str, tuple[str, ...]] = {
    "conformance": (
        "tests/pdns/test_conformance.py",
        "tests/pdns/test_dnssec_conformance.py",
        "tests/pdns/test_shipped_configuration.py",
    ),
    "contents": (
        "tests/system/test_zones.py",
        "tests/system/test_contents.py",
        "tests/system/test_versions.py",
    ),
    "DNSSEC": (
        "tests/system/test_dnssec.py",
        "tests/system/test_dnssec_answers.py",
        "tests/system/test_dnssec_keys.py",
        "tests/system/test_dnssec_rollover.py",
    ),
    "purge": ("tests/pdns/cache",),
    "transfer": ("tests/system/test_secondary.py",),
    "restart": ("tests/pdns/test_restart.py", "tests/pdns/connectors"),
    "stores": ("tests/store",),
    "system": (
        "tests/system/test_all_down.py",
        "tests/system/test_answers.py",
        "tests/system/test_following.py",
        "tests/system/test_life.py",
        "tests/system/test_policies.py",
        "tests/system/test_reload.py",
        "tests/system/test_ttl.py",
        "tests/system/test_views.py",
    ),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """A release, with the newest dependencies of an index or the lowest that we declare.

    `powerdns` is the release that its PowerDNS is taken from, if that is another one.
    """

    release: str
    is_lowest: bool = False
    powerdns: str = ""
    suites: tuple[str, ...] = tuple(SUITES)

    def __str__(self) -> str:
        return f"{self.release}-lowest" if self.is_lowest else self.powerdns or self.release


VARIANTS = (
    Variant("trixie"),
    Variant("bookworm"),
    Variant("bookworm", is_lowest=True),
    Variant("sid"),
    # Its Python is too old for the daemon, and its PowerDNS older than we declare.
    Variant(
        "bookworm", powerdns="bullseye", suites=tuple(name for name in SUITES if name != "stores")
    ),
)
