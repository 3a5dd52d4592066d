"""What the nodes of a fleet answer differently, from the database."""

from aiohttp import web
from pydantic import Field

from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.responses import json_bytes, render_with_rows
from dnslb_backend.admin.http.timestamps import Timestamp, render_timestamp
from dnslb_backend.core.health.differences import DifferingRecord, NodeAnswer
from dnslb_backend.core.health.service import Service, service_of


class PoolRow(ApiModel):
    """What clients of one view are given."""

    view: str = Field(description="empty: everybody else")
    contents: tuple[str, ...]
    weights: tuple[int, ...] = Field(description="empty: they do not matter")


class NodeAnswerRow(ApiModel):
    """What one node answers."""

    node: str
    service: Service | None = Field(description="null: it has no such record")
    answer: tuple[PoolRow, ...]


class DifferenceRow(ApiModel):
    """A record that nodes do not answer alike."""

    zone: str
    name: str
    type: str
    answers: tuple[NodeAnswerRow, ...]


class DifferencesReport(ApiModel):
    """What nodes answer differently."""

    time: Timestamp
    nodes: tuple[str, ...] = Field(description="those that were compared: they write, and live")
    more: bool = Field(description="there are more records than these")
    records: tuple[DifferenceRow, ...]


async def show_differences(request: web.Request) -> web.Response:
    control = request.app[STATE].control
    found = await control.differences()
    head = DifferencesReport(
        time=render_timestamp(control.now().wall), nodes=found.nodes, more=found.is_cut, records=()
    )
    return json_bytes(await render_with_rows(head, records=map(_record_row, found.records)))


def _record_row(record: DifferingRecord) -> DifferenceRow:
    key = record.key
    answers = tuple(map(_answer_row, record.answers))
    return DifferenceRow(zone=key.zone, name=key.name, type=key.type, answers=answers)


def _answer_row(answer: NodeAnswer) -> NodeAnswerRow:
    pools = (
        PoolRow(view=pool.view, contents=pool.contents, weights=pool.weights)
        for pool in answer.pools
    )
    service = None if answer.kind is None else service_of(answer.kind)
    return NodeAnswerRow(node=answer.node, service=service, answer=tuple(pools))
