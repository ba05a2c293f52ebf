"""Which reports of nodes are taken: the token, the address, the host, the form, and how often."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, OTHER_ADDRESS, BuiltServices, WithServices

from netboot.boot.node_reports import INTERVAL_S, NodeReports, TooSoon
from netboot.boot.sessions.identity import Identification
from netboot.boot.token_documents import Refusal, Report
from netboot.model.host.host import HostName, HostSet
from netboot.model.install.checks import MalformedReportError
from netboot.model.node_report import NodeReport
from netboot.store.nodes.installed_nodes import Nodes

CP1: Final = HostName("cp1")
COMMIT, OTHER = "ab" * 32, "cd" * 32
BODY: Final = f"booted {COMMIT}\ntag 1.33\n".encode()
REPORT: Final = NodeReport(COMMIT, tag="1.33")


class Node:
    """cp1, installed: it takes reports with the token of its node."""

    def __init__(self, services: BuiltServices) -> None:
        self.services, self.nodes = services, Nodes(services.database)
        self.reports = NodeReports(
            services.registry,
            self.nodes,
            identification=Identification(services.seen, services.registry.hosts),
            local_boots=services.local_boots,
            events=services.event_bus,
            clock=services.clock,  # type: ignore[arg-type]  # the clock of the services
        )
        self.token = ""

    async def install(self) -> None:
        await self.services.install_moves.arm_all([CP1], reason="test", attempts=3)
        self.services.boots(FIRMWARE, IPXE)
        await self.services.script_for(MAC, ADDRESS)
        tokens = self.services.install_moves.known(CP1).tokens
        for report in (Report.STARTED, Report.DONE, Report.READY):
            assert await self.services.document_service.report(tokens.report, report, address=ADDRESS) is None
        self.token = tokens.node

    async def take(self, body: bytes = BODY, token: str = "", address: Any = ADDRESS) -> object:
        self.services.clock.pass_(INTERVAL_S)
        return await self.reports.take(token or self.token, body, address)

    async def stored(self) -> NodeReport | None:
        return (await self.nodes.all())[CP1].report

    async def events(self, name: str) -> list[dict[str, Any]]:
        return [dict(event.data) for event in await self.services.events() if event.name == name]


@pytest.fixture
def with_node(with_services: WithServices) -> Callable[[Callable[[Node], Awaitable[None]]], None]:
    def run(scenario: Callable[[Node], Awaitable[None]]) -> None:
        async def inside(services: BuiltServices) -> None:
            node = Node(services)
            await node.install()
            await scenario(node)

        with_services(inside)

    return run


def test_a_report_is_stored_and_is_an_event_when_it_changes(with_node: Any):
    async def scenario(node: Node) -> None:
        assert await node.take() is None
        assert await node.stored() == REPORT
        assert await node.take(BODY + b"booted_at 2026-11-30 08:00:00 +0000\n") is None
        assert await node.take(BODY + b"booted_at 2026-11-30 08:00:01 +0000\n") is None
        assert await node.take(BODY + f"staged {OTHER}\n".encode()) is None

        assert await node.events("update.reported") == [
            {"booted": COMMIT, "tag": "1.33"},
            {"booted": COMMIT, "tag": "1.33", "staged": OTHER},
        ]

    with_node(scenario)


def test_the_token_of_a_node_is_valid_for_its_reports_alone(with_node: Any):
    async def scenario(node: Node) -> None:
        documents, tokens = node.services.document_service, node.services.install_moves.known(CP1).tokens

        assert await documents.report(node.token, Report.READY, address=ADDRESS) is Refusal.UNKNOWN
        assert await documents.serve_kickstart(node.token, ADDRESS, base_url="http://x") is Refusal.UNKNOWN
        assert await node.take(token=tokens.report) is Refusal.UNKNOWN
        assert await node.take(token="0" * 32) is Refusal.UNKNOWN
        assert await node.take(token="x") is Refusal.UNKNOWN
        assert len({tokens.kickstart, tokens.ignition, tokens.report, tokens.node}) == 4

    with_node(scenario)


def test_a_report_from_another_address_raises_an_alarm_and_stores_nothing(with_node: Any):
    async def scenario(node: Node) -> None:
        assert await node.take(address=OTHER_ADDRESS) is Refusal.UNAUTHORISED

        assert await node.stored() is None
        assert await node.events("boot.alarm_raised") == [
            {"document": "node", "address": str(OTHER_ADDRESS), "reason": "unauthorised-address"}
        ]

    with_node(scenario)


def test_a_host_that_is_not_declared_any_longer_reports_nothing(with_node: Any):
    async def scenario(node: Node) -> None:
        node.services.use(hosts=HostSet.of(node.services.hosts.cluster, []))

        assert await node.take() is Refusal.REMOVED
        assert (await node.events("boot.token_refused"))[-1] == {
            "document": "node",
            "address": str(ADDRESS),
            "reason": "removed-host",
        }

    with_node(scenario)


def test_a_retired_or_forgotten_host_reports_nothing(with_node: Any):
    async def scenario(node: Node) -> None:
        await node.services.install_moves.retire(CP1, reason="test")
        assert await node.take() is Refusal.UNKNOWN

        await node.install()
        assert await node.take() is None
        await node.services.install_moves.forget_node(CP1)
        assert await node.take() is Refusal.UNKNOWN

    with_node(scenario)


def test_the_token_ends_with_the_next_install_and_not_with_the_next_arming(with_node: Any):
    async def scenario(node: Node) -> None:
        first = node.token
        await node.services.install_moves.arm_all([CP1], reason="again", attempts=1)
        assert await node.take() is None

        await node.services.install_moves.cancel(CP1, reason="test")
        await node.install()
        assert node.token != first
        assert await node.take(token=first) is Refusal.UNKNOWN
        assert await node.take() is None

    with_node(scenario)


@pytest.mark.parametrize("body", [b"", b"booted x", b"\xff", b"booted " + b"a" * 5000, BODY * 2])
def test_a_malformed_report_is_refused_and_stores_nothing(with_node: Any, body: bytes):
    async def scenario(node: Node) -> None:
        with pytest.raises(MalformedReportError):
            await node.take(body)

        assert await node.stored() is None
        assert await node.take() is None

    with_node(scenario)


def test_a_thousand_reports_at_once_are_one_write(with_node: Any):
    async def scenario(node: Node) -> None:
        node.services.clock.pass_(INTERVAL_S)
        bodies = [f"booted {number:064x}\n".encode() for number in range(1000)]

        found = await asyncio.gather(*(node.reports.take(node.token, body, ADDRESS) for body in bodies))

        assert found.count(None) == 1
        assert found.count(TooSoon.TOO_SOON) == 999
        assert len(await node.events("update.reported")) == 1

    with_node(scenario)
