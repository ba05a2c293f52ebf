"""A node that reported, was led to its disk, and does not report again: one event for each such boot, and its end."""

from collections.abc import Callable
from typing import Any

import pytest
from fixtures.installed_node import CP1, Node
from fixtures.services import FIRMWARE

from netboot.boot.sessions.node_watch import NodeWatch
from netboot.errors import StoreError
from netboot.model.host.host import HostSet

MINUTE = 60.0
UNHEARD, HEARD = "boot.node_unheard", "boot.node_heard"
Scenario = Callable[[Node, NodeWatch], Any]


@pytest.fixture
def with_watch(with_node: Any) -> Callable[[Scenario], None]:
    def run(scenario: Scenario) -> None:
        async def inside(node: Node) -> None:
            services = node.services
            watch = NodeWatch(
                node.nodes,
                services.local_boots,
                hosts=services.registry.hosts,
                install_of=services.install_moves.known,
                clock=services.clock,  # type: ignore[arg-type]  # the clock of the services
            )
            services.clock.pass_(60 * MINUTE)
            await scenario(node, watch)

        with_node(inside)

    return run


def boot(node: Node) -> None:
    """Let the firmware of cp1 request a boot: it is led to its disk."""
    node.services.clock.pass_(5 * MINUTE)
    node.services.boots(FIRMWARE)


async def found(node: Node, watch: NodeWatch, *, after_s: float) -> list[str]:
    """Return the events of the watch and of its end, after so much time."""
    node.services.clock.pass_(after_s)
    await watch.judge()
    return [event.name for event in await node.services.events() if event.name in (UNHEARD, HEARD)]


def test_a_node_that_is_not_heard_after_its_local_boot_is_one_event_until_it_reports(with_watch: Any):
    async def scenario(node: Node, watch: NodeWatch) -> None:
        assert await node.take() is None
        reported_at = node.services.clock.now()
        boot(node)
        led_at = node.services.clock.now()

        assert await found(node, watch, after_s=29 * MINUTE) == []
        assert await found(node, watch, after_s=MINUTE) == [UNHEARD]
        assert await found(node, watch, after_s=MINUTE) == [UNHEARD]
        [event] = [event for event in await node.services.events() if event.name == UNHEARD]
        assert (event.host, event.mac, event.step) == (CP1, FIRMWARE.mac, None)
        times = {"led_at": led_at.isoformat(), "reported_at": reported_at.isoformat()}
        assert event.data == {"firmware": "pxe/x64", "method": "no-file", **times}

        assert await node.take() is None
        assert await found(node, watch, after_s=60 * MINUTE) == [UNHEARD, HEARD]

    with_watch(scenario)


def test_each_boot_after_which_the_node_is_not_heard_is_an_event(with_watch: Any):
    async def scenario(node: Node, watch: NodeWatch) -> None:
        assert await node.take() is None
        boot(node)
        assert await found(node, watch, after_s=30 * MINUTE) == [UNHEARD]
        boot(node)
        assert await found(node, watch, after_s=29 * MINUTE) == [UNHEARD]
        assert await found(node, watch, after_s=MINUTE) == [UNHEARD, UNHEARD]

    with_watch(scenario)


def test_what_was_recorded_is_stored_with_the_boot_so_that_a_restart_does_not_repeat_it(with_watch: Any):
    async def scenario(node: Node, watch: NodeWatch) -> None:
        assert await node.take() is None
        boot(node)
        assert await found(node, watch, after_s=30 * MINUTE) == [UNHEARD]
        await node.services.machines.flush()
        [stored] = await node.services.machines.of([FIRMWARE.mac])
        known = stored.local_boots["pxe/x64"]

        assert known.unheard == known.led_at is not None

    with_watch(scenario)


def test_a_node_that_reports_after_its_boot_or_never_did_is_no_event(with_watch: Any):
    async def scenario(node: Node, watch: NodeWatch) -> None:
        boot(node)
        assert await found(node, watch, after_s=60 * MINUTE) == []
        assert await node.take() is None
        boot(node)
        node.services.clock.pass_(20 * MINUTE)
        assert await node.take() is None
        assert await found(node, watch, after_s=60 * MINUTE) == []

    with_watch(scenario)


def test_a_host_that_is_armed_or_not_declared_is_no_event(with_watch: Any):
    async def scenario(node: Node, watch: NodeWatch) -> None:
        services = node.services
        assert await node.take() is None
        boot(node)
        await services.install_moves.arm_all([CP1], reason="test", attempts=3)
        assert await found(node, watch, after_s=60 * MINUTE) == []
        await services.install_moves.cancel(CP1, reason="test")
        hosts = services.hosts
        services.use(hosts=HostSet.of(hosts.cluster, []))
        assert await found(node, watch, after_s=60 * MINUTE) == []
        services.use(hosts=hosts)
        assert await found(node, watch, after_s=MINUTE) == [UNHEARD]

    with_watch(scenario)


def test_the_time_in_which_no_report_could_be_taken_does_not_count(with_watch: Any, monkeypatch: pytest.MonkeyPatch):
    async def fails() -> Any:
        raise StoreError("the store failed")

    async def scenario(node: Node, watch: NodeWatch) -> None:
        assert await node.take() is None
        boot(node)
        with monkeypatch.context() as failing:
            failing.setattr(type(node.nodes), "all", lambda _: fails())
            assert await found(node, watch, after_s=45 * MINUTE) == []
        assert await found(node, watch, after_s=29 * MINUTE) == []
        assert await found(node, watch, after_s=MINUTE) == [UNHEARD]

    with_watch(scenario)
