"""Which reports of nodes are taken: the token, the address, the host, the form, and how often."""

import asyncio
from typing import Any, Final

import pytest
from fixtures.installed_node import BODY, COMMIT, CP1, Node
from fixtures.services import ADDRESS, OTHER_ADDRESS

from netboot.boot.node_reports import INTERVAL_S, TooSoon
from netboot.boot.token_documents import Refusal, Report
from netboot.model.host.host import HostSet
from netboot.model.install.checks import MalformedReportError
from netboot.model.node_report import NodeReport

OTHER: Final = "cd" * 32
REPORT: Final = NodeReport(COMMIT, tag="1.33")


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
