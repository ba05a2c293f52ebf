"""What a host would receive from this daemon, and why: the use cases behind `plan` and `explain` of API and pages.

Changes nothing. No result has a token or a secret: the places of tokens are named, and secrets are hidden.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from netboot.boot.live_registry import LiveRegistry
from netboot.errors import UnknownHostError
from netboot.model.clock import utc_now
from netboot.model.host.host import HostName
from netboot.model.install.install import Install
from netboot.operate.host_status import InstallReport
from netboot.operate.planning.explanation import HostExplanation, WrittenValues
from netboot.operate.planning.host_plan import HostPlan, HostPlanner, offers
from netboot.operate.planning.next_boot import NO_BOOT, NextBoot, next_boot


@dataclass(frozen=True, slots=True)
class HostPlans:
    """The plans of the hosts in force. `base_url` is the URL of this server that machines get."""

    install_of: Callable[[str], Awaitable[InstallReport]]  # raises UnknownHostError, StoreError
    registry: LiveRegistry
    base_url: Callable[[], str]
    written_values: Callable[[HostName], Awaitable[WrittenValues]]  # raises ConfigError, UnknownHostError

    async def plan(self, name: str) -> HostPlan:
        """Render what a host would get if it were armed and booted now; raise UnknownHostError."""
        registry = self.registry.now
        host = registry.hosts.named(name)
        armed = Install(host.name).armed(at=utc_now(), reason="plan", attempts=1)
        planner = HostPlanner(registry.documents, host, host.mac, self.base_url())
        return await planner.plan(offers(host, registry.policy, armed))

    async def next_boot(self, name: str) -> NextBoot:
        """Return what the machine of a host gets now; nothing for one that is not in force. Raises StoreError."""
        registry = self.registry.now
        host = registry.hosts.get(name)
        if host is None:
            return NO_BOOT
        report = await self.install_of(host.name)
        install, requested = report.status.install, report.next_boot
        return next_boot(host, registry, install, requested, local_boots=report.local_boots, base_url=self.base_url())

    async def explain(self, name: str) -> HostExplanation:
        """Return where each value of a host comes from, and what its machine gets now and why.

        The values are those of the files; the daemon has them after a reload. Raises ConfigError, UnknownHostError for
        a host that no file declares, and StoreError.
        """
        written = await self.written_values(HostName(name))
        try:
            install = await self.install_of(name)
        except UnknownHostError:
            install = None
        return HostExplanation(name, written, install, await self.next_boot(name))
