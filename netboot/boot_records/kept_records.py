"""What an operator can read of the records of boots: the logs and the captures of one appliance."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from netboot.boot_records.record_files import Owner, RecordFiles
from netboot.boot_records.record_writer import RecordWriter
from netboot.boot_records.shown_captures import BootCaptures
from netboot.boot_records.shown_logs import BootLogs

Known = Callable[[str], Awaitable[Owner]]  # a host by name or a machine by MAC, else raises UnknownHostError


@dataclass(frozen=True, slots=True)
class KeptRecords:
    """The files, and the writer of a daemon, which `receives_logs` or only records packets."""

    files: RecordFiles
    writer: RecordWriter | None = None
    receives_logs: bool = False

    def logs(self, known: Known) -> BootLogs:
        return BootLogs(self.files, known, self.writer if self.receives_logs else None)

    def captures(self, known: Known) -> BootCaptures:
        return BootCaptures(self.files, known, self.writer)
