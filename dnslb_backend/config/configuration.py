"""The one value that the daemon runs on."""

from collections.abc import Mapping
from dataclasses import dataclass

from dnslb_backend.admin.http.access import Access
from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.config.earlier import EarlierRecords
from dnslb_backend.config.models import BrakeSettings, GlobalSettings
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.quorum import QuorumRules
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.errors import ConfigProblem
from dnslb_backend.notifications.settings import Receivers
from dnslb_backend.pdns.methods.geoip import GeoDatabase
from dnslb_backend.pdns.settings import PdnsSettings, ServerSettings
from dnslb_backend.store.settings import MysqlSettings, StateSettings


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration that was found good. `checks` are the plan's checks by fingerprint.

    `digests` are of the records' tables, for the next `load`.
    """

    plan: Plan
    checks: Mapping[str, Check]
    node: str
    settings: GlobalSettings
    server: ServerSettings
    admin: AdminSettings
    access: Access
    pdns: PdnsSettings
    state: StateSettings
    brake: BrakeSettings
    geo_database: GeoDatabase | None
    mysql: MysqlSettings | None
    quorum: QuorumRules | None
    notify: Receivers
    warnings: tuple[ConfigProblem, ...]
    fingerprint: str
    digests: Mapping[RecordKey, bytes]

    def earlier_records(self) -> EarlierRecords:
        return EarlierRecords(self.digests, self.plan.records, self.checks, self.plan.questions)
