"""The use case of updates: the board of all declared hosts, from the store and the library."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.boot.install_moves import InstallMoves
from netboot.content.library.library import Library
from netboot.errors import StoreError
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.image_name import OCK_REPOSITORY, ImageName
from netboot.model.install.install import AFTER_INSTALL, Install
from netboot.model.node_report import InstalledCommit, InstalledNode
from netboot.model.release import EntryKind
from netboot.operate.updates.offered_content import read_offered
from netboot.operate.updates.promotion_plan import PromotionPlan, plan_promotion
from netboot.operate.updates.updates_board import NodeFacts, OfferedContent, UpdatesBoard, UpdateState, judge_updates
from netboot.store.nodes.installed_nodes import Nodes
from netboot.telemetry.metrics import Reading

COUNTED_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class UpdateRules:
    """The settings `updates.…` in force, and `ADDRESS:PORT` of the registry as nodes of each interface have it."""

    registry: bool
    report: bool
    addresses: Sequence[str] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Updates:
    """Reads the store and the library; raises StoreError."""

    install_moves: InstallMoves
    nodes: Nodes
    content: Path
    _: KW_ONLY
    hosts: Callable[[], HostSet]  # in force
    rules: Callable[[], UpdateRules]
    now: Callable[[], datetime]
    _counts: Counter[UpdateState] = field(default_factory=Counter, init=False)  # of the last board

    async def run(self) -> None:
        """Count the nodes by state every minute, for the metrics, until cancelled."""
        while True:
            with suppress(StoreError):  # the health of the store has it
                await self.board()
            await asyncio.sleep(COUNTED_S)

    def readings(self) -> Iterator[Reading]:
        """Read the gauge of nodes, from memory."""
        yield from (Reading("nodes", self._counts[state], (state.value,)) for state in UpdateState)

    async def board(self) -> UpdatesBoard:
        """Judge what each declared host runs, has downloaded and is offered."""
        rules = self.rules()
        facts, offered = await self.read(rules)
        board = judge_updates(facts, offered, now=self.now(), registry=rules.registry, report=rules.report)
        self._counts.clear()
        self._counts.update(node.state for node in board.nodes)
        return board

    async def plan(self, name: str, alias: str) -> PromotionPlan:
        """Plan to make `alias` an alias of `name`; raise UnknownContentError if there is none of that name."""
        facts, offered = await self.read(self.rules())
        kind, repository = await asyncio.to_thread(self._entry, name)
        installs = await self.install_moves.all()
        return plan_promotion(
            name,
            alias,
            kind=kind,
            repository=repository,
            nodes=facts,
            content=offered,
            hosts=self.hosts(),
            installs=installs,
        )

    def _entry(self, name: str) -> tuple[EntryKind, str]:
        """Return the kind of an entry, and the repository of its image; empty: it is none."""
        entry = Library(self.content).find(name)
        image = entry.record.image if entry.record is not None else ""
        try:
            return entry.kind, ImageName.parse(image).repository if image else ""
        except ValueError:
            return entry.kind, ""

    async def read(self, rules: UpdateRules) -> tuple[Sequence[NodeFacts], OfferedContent]:
        """Read what is known of the hosts, and what the library has."""
        nodes, installs = await self.nodes.all(), await self.install_moves.all()
        address = f"{rules.addresses[0]}/{OCK_REPOSITORY}" if rules.addresses else ""
        offered = await asyncio.to_thread(read_offered, self.content, address=address)
        return [_facts(host, nodes, installs, rules) for host in self.hosts()], offered


def _facts(
    host: Host, nodes: Mapping[HostName, InstalledNode], installs: Mapping[HostName, Install], rules: UpdateRules
) -> NodeFacts:
    node = nodes.get(host.name)
    installed = node.installed if node is not None else _installed_before(installs.get(host.name))
    return NodeFacts(
        host.name,
        host.role,
        host.local_release or "",
        installed=installed,
        report=node.report if node is not None else None,
        reported_at=node.reported_at if node is not None else None,
        follows=_follows(node, rules),
    )


def _follows(node: InstalledNode | None, rules: UpdateRules) -> bool:
    if node is None or node.report is None or not node.report.registry:
        return rules.registry
    address, _, _ = node.report.registry.partition("/")
    return address in rules.addresses


def _installed_before(install: Install | None) -> InstalledCommit | None:
    """Return what an install of an earlier version recorded: the target of its arming, unless a new one followed."""
    if install is None or install.state not in AFTER_INSTALL or install.is_armed or install.target is None:
        return None
    if install.changed_at is None:
        return None
    return InstalledCommit(install.target.local_release or "", install.target.commit or "", install.changed_at)
