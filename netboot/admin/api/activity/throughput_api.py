"""The route of throughput: how fast machines were served in the last hour, by protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.telemetry.throughput import SAMPLE_S, Throughput, ThroughputSample, Traffic


@dataclass(frozen=True, slots=True)
class ThroughputRate:
    """Bytes per second in the seconds before `at`: by TFTP, by HTTP without content, and of content."""

    at: datetime
    tftp: int
    http: int
    content: int

    @classmethod
    def of(cls, sample: ThroughputSample) -> "ThroughputRate":
        return cls(sample.at, **{traffic.value: round(sample.rate(traffic)) for traffic in Traffic})


@dataclass(frozen=True, slots=True)
class ThroughputView:
    """The samples of the last hour, oldest first, one in `interval_s` seconds."""

    interval_s: int
    samples: Sequence[ThroughputRate]


class ThroughputApi:
    def __init__(self, throughput: Throughput) -> None:
        self._throughput = throughput

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/throughput", self.samples)]

    @operation(ThroughputView)
    async def samples(self, _request: web.Request) -> web.Response:
        """List how fast machines were served in the last hour, by protocol."""
        rates = [ThroughputRate.of(sample) for sample in self._throughput.recent()]
        return json_answer(ThroughputView(SAMPLE_S, rates))
