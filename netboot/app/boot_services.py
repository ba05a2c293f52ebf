"""Builds what answers machines: the services behind the listeners, each with its dependencies."""

from netboot.boot.inspection_documents import InspectionDocuments
from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import InstallMoves
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.named_files import FileService
from netboot.boot.offers import OfferService
from netboot.boot.records.log_lines import LogLines
from netboot.boot.records.running_boots import RunningBoots
from netboot.boot.script_service import ScriptService
from netboot.boot.sessions.identity import Identification
from netboot.boot.sessions.learning import VariantLearning
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.boot.sessions.other_servers import OtherServers
from netboot.boot.token_documents import DocumentService
from netboot.boot_records.log_writer import LogWriter
from netboot.content.serving.index import ContentIndex
from netboot.events.event_bus import EventBus
from netboot.model.clock import Clock
from netboot.store.machines import Machines
from netboot.store.served_documents import ServedDocuments


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
        content: ContentIndex,
        events: EventBus,
        clock: Clock,
        log_writer: LogWriter | None = None,
    ) -> None:
        """`log_writer` stores the logs of machines; None: none are received."""
        self.install_moves, self.inspection_records = install_moves, inspections
        identification, learning = Identification(seen, registry.hosts), VariantLearning(seen, events)
        self.other_servers = OtherServers(seen, hosts=registry.hosts, events=events, clock=clock)
        boots = RunningBoots(seen, identification, clock)
        self.log_lines = None if log_writer is None else self._log_lines(boots, log_writer, clock)
        self.offers = OfferService(
            registry,
            seen,
            install_moves=install_moves,
            inspections=inspections,
            learning=learning,
            events=events,
            clock=clock,
        )
        self.scripts = ScriptService(
            registry,
            seen,
            identification=identification,
            install_moves=install_moves,
            learning=learning,
            machines=machines,
            inspections=inspections,
            served=served,
            events=events,
            clock=clock,
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
            registry,
            seen,
            identification=identification,
            install_moves=install_moves,
            served=served,
            events=events,
            clock=clock,
        )
        self.inspections = InspectionDocuments(registry, inspections, identification, events)

    def _log_lines(self, boots: RunningBoots, writer: LogWriter, clock: Clock) -> LogLines:
        return LogLines(boots, writer, install_moves=self.install_moves, clock=clock)

    async def load(self) -> None:
        """Read into memory what offers are decided from; raise StoreError."""
        await self.install_moves.load()
        await self.inspection_records.load()
