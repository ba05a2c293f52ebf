"""Builds what answers machines: the services behind the listeners, each with its dependencies."""

from typing import Final, NamedTuple, TypedDict

from netboot.boot.documents.join_gate import JoinGate
from netboot.boot.identity.identity_watch import IdentityWatch
from netboot.boot.inspection_documents import InspectionDocuments
from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import InstallMoves
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.named_files import FileService
from netboot.boot.node_reports import NodeReports
from netboot.boot.offers import OfferService
from netboot.boot.records.log_lines import LogLines
from netboot.boot.records.packet_capture import PacketCapture
from netboot.boot.records.running_boots import RunningBoots
from netboot.boot.script_service import ScriptService
from netboot.boot.sessions.identity import Identification
from netboot.boot.sessions.learning import VariantLearning
from netboot.boot.sessions.local_boots import LocalBoots
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.boot.sessions.node_watch import NodeWatch
from netboot.boot.sessions.other_servers import OtherServers
from netboot.boot.token_documents import DocumentService
from netboot.boot_records.record_writer import RecordWriter
from netboot.content.serving.index import ContentIndex
from netboot.events.event_bus import EventBus
from netboot.model.clock import Clock
from netboot.store.machines import Machines
from netboot.store.nodes.installed_nodes import Nodes
from netboot.store.served_documents import ServedDocuments


class RecordWriters(NamedTuple):
    """What stores the logs of machines, and their packets; None: none are kept."""

    logs: RecordWriter | None
    captures: RecordWriter | None


NO_RECORDS: Final = RecordWriters(None, None)


class _Shared(TypedDict):
    """What each service that moves installs needs."""

    install_moves: InstallMoves
    identity: IdentityWatch
    local_boots: LocalBoots
    events: EventBus
    clock: Clock


class BootServices:
    """The services of one daemon, on one registry and one record of machines."""

    def __init__(
        self,
        registry: LiveRegistry,
        seen: SeenMachines,
        *,
        install_moves: InstallMoves,
        machines: Machines,
        inspections: InspectionRecords,
        served: ServedDocuments,
        gate: JoinGate,
        nodes: Nodes,
        content: ContentIndex,
        events: EventBus,
        clock: Clock,
        writers: RecordWriters = NO_RECORDS,
        is_shared: bool = True,
    ) -> None:
        self.install_moves, self.inspection_records, self.clock = install_moves, inspections, clock
        identification, learning = Identification(seen, registry.hosts), VariantLearning(seen, events)
        self.local_boots = local_boots = LocalBoots(registry, seen, events, clock)
        identity = IdentityWatch(install_moves, events, hosts=registry.hosts, clock=clock)
        shared = _Shared(
            install_moves=install_moves, identity=identity, local_boots=local_boots, events=events, clock=clock
        )
        self.other_servers = OtherServers(seen, hosts=registry.hosts, events=events, clock=clock)
        self.log_lines, self.capture = self._recording(RunningBoots(seen, identification, clock), writers)
        self.offers = OfferService(registry, seen, inspections=inspections, learning=learning, **shared)
        self.scripts = ScriptService(
            registry,
            seen,
            identification=identification,
            learning=learning,
            machines=machines,
            inspections=inspections,
            served=served,
            is_shared=is_shared,
            **shared,
        )
        self.files = FileService(
            registry,
            seen,
            identification=identification,
            script_service=self.scripts,
            content=content,
            events=events,
            clock=clock,
        )
        self.documents = DocumentService(
            registry, seen, identification=identification, served=served, gate=gate, **shared
        )
        self.node_reports = NodeReports(
            registry, nodes, identification=identification, local_boots=local_boots, events=events, clock=clock
        )
        self.node_watch = NodeWatch(
            nodes, local_boots, hosts=registry.hosts, install_of=install_moves.known, clock=clock
        )
        self.inspections = InspectionDocuments(registry, inspections, identification, events)

    def _recording(self, boots: RunningBoots, writers: RecordWriters) -> tuple[LogLines | None, PacketCapture | None]:
        logs, captures, moves = writers.logs, writers.captures, self.install_moves
        return (
            None if logs is None else LogLines(boots, logs, install_moves=moves, clock=boots.clock),
            None if captures is None else PacketCapture(boots, captures, install_moves=moves, clock=boots.clock),
        )

    async def load(self) -> None:
        """Read into memory what offers are decided from; raise StoreError."""
        await self.install_moves.load()
        await self.inspection_records.load()
