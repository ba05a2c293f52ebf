"""Plays an installer from its kernel to its last report: dracut, Anaconda with the Kickstart's scripts, libostree.

The Kickstart's scripts are not run: what netboot's own templates send is read from their text and sent in their order.
"""

from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import FileReader
from netboot.probe.http.agents import CURL
from netboot.probe.http.http_client import HttpClient
from netboot.probe.installer.embedded_archive import fetch_archive
from netboot.probe.installer.install_reports import SCRIPT_CURL, InstallReports
from netboot.probe.installer.installed_system import InstalledSystem
from netboot.probe.installer.installer_arguments import KernelLine, read_installer_line
from netboot.probe.installer.kickstart_document import KickstartDocument, read_kickstart
from netboot.probe.installer.kickstart_request import anaconda_headers, expect_spent, request_kickstart
from netboot.probe.installer.machine_checks import MachineChecks
from netboot.probe.installer.release.client_pool import ClientPool
from netboot.probe.installer.release.pull import PulledRelease, ReleasePull
from netboot.probe.installer.stage2 import Stage2
from netboot.probe.scripts.script_end import BootsKernel

_ORDER: Final = tuple(Step)


class HasArch(Protocol):
    @property
    def arch(self) -> int: ...


class InstallerMachine(FileReader, Protocol):
    """What an installer needs of a simulated machine."""

    @property
    def mac(self) -> Mac: ...
    @property
    def profile(self) -> HasArch: ...


async def install(
    machine: InstallerMachine,
    kernel: BootsKernel,
    *,
    until: Step,
    spends: bool,
    kickstart: str | None = None,
    requests_spent: bool = True,
) -> InstalledSystem:
    """Install the machine up to the step `until`; raise BootFailedError where an installer would stop.

    Without `spends` no URL with a token is requested: `kickstart` is the document of the server's plan then, and
    nothing is reported. `requests_spent`: once the install has started, request the Kickstart again, which must fail.
    """
    line = read_installer_line(kernel.arguments, machine.mac)
    async with HttpClient(machine, CURL) as dracut, HttpClient(machine, SCRIPT_CURL) as curl:
        run = _Install(machine, line, dracut, curl, until=until, spends=spends, requests_spent=requests_spent)
        return await run.play(kickstart)


@dataclass(frozen=True, slots=True)
class _Install:
    """One run. `curl` is that of the Kickstart's scripts, which repeat by themselves; `dracut` that of the initrd."""

    machine: InstallerMachine
    line: KernelLine
    dracut: HttpClient
    curl: HttpClient
    until: Step
    spends: bool
    requests_spent: bool

    async def play(self, planned: str | None) -> InstalledSystem:
        document = await self._kickstart(planned)
        if self._ends_before(Step.STAGE2):
            return InstalledSystem(Step.KICKSTART)
        if self._is_played(self.line.stage2_url, Step.STAGE2):
            await self._stage2().fetch()
        if document is None or document.release_url is None or self._ends_before(Step.CHECKS):
            return InstalledSystem(Step.STAGE2)
        reports = self._reports(document)
        ref_commit, ended_at = await self._before_the_disk(document, reports)
        if self._ends_before(Step.OSTREE):
            return InstalledSystem(ended_at)
        return await self._on_the_disk(document, reports, ref_commit)

    def _is_played(self, url: str | None, step: Step) -> bool:
        """Return whether a URL is one of http, without a user; else a note states that it is not requested."""
        parts = urlsplit(url or "")
        if parts.scheme == "http" and not parts.username:
            return True
        what = f"{parts.scheme or 'no URL'}{' with a user' if parts.username else ''}"
        self.machine.timeline.add(step, f"note: its URL is {what}, which is not played; it counts as received")
        return False

    def _ends_before(self, step: Step) -> bool:
        return _ORDER.index(self.until) < _ORDER.index(step)

    async def _kickstart(self, planned: str | None) -> KickstartDocument | None:
        """Read the Kickstart, by its URL or as planned; None: there is none, as in Anaconda's rescue mode."""
        timeline, url = self.machine.timeline, self.line.kickstart_url
        if url is None:
            timeline.add(Step.KICKSTART, "the kernel line names no Kickstart")
            return None
        if not self.spends:
            if planned is None:
                timeline.add(Step.KICKSTART, "not requested: its URL has a token")
                return None
            timeline.add(Step.KICKSTART, "as the server plans it; its URL has a token, so it is not requested")
        text = await request_kickstart(self.dracut, url, self._headers, timeline) if self.spends else planned
        document = read_kickstart(text or "")
        for note in document.notes:
            timeline.add(Step.KICKSTART, f"note: {note}")
        if document.release_url is None:
            timeline.add(
                Step.KICKSTART, "note: it has no ostreesetup, so it installs no release; its scripts are not run"
            )
        return document

    @property
    def _headers(self) -> tuple[tuple[str, str], ...]:
        return anaconda_headers(self.line, self.machine.mac, self.machine.profile.arch)

    def _stage2(self) -> Stage2:
        return Stage2(self.dracut, self._headers, self.line.stage2_url or "", self.machine.timeline)

    def _reports(self, document: KickstartDocument) -> InstallReports | None:
        if not self.spends or document.report_url is None:
            return None
        return InstallReports(self.machine, self.curl, document)

    async def _before_the_disk(
        self, document: KickstartDocument, reports: InstallReports | None
    ) -> tuple[str | None, Step]:
        """Play %pre; return the commit that the check of the release read, and the last step."""
        checks = MachineChecks(self.machine, self.curl, document, arch=self.machine.profile.arch)
        found = await checks.make()
        if reports is not None and "checks" in document.events:
            await reports.checks(found)
        if self._ends_before(Step.INSTALLING):
            return checks.ref_commit, Step.CHECKS
        if reports is not None and "started" in document.events:
            await reports.started()
            await reports.log("pre", [f"netboot: check {check.name}: {check.result}: {check.found}" for check in found])
            if self.requests_spent and self.line.kickstart_url:
                await expect_spent(self.curl, self.line.kickstart_url, self.machine.timeline)
        return checks.ref_commit, Step.INSTALLING

    async def _on_the_disk(
        self, document: KickstartDocument, reports: InstallReports | None, ref_commit: str | None
    ) -> InstalledSystem:
        """Pull the release and play %post; a failure is reported, as %onerror does, before it is raised."""
        try:
            is_played = self._is_played(document.release_url, Step.OSTREE)
            release = await self._pull(document, ref_commit) if is_played else None
            if self._ends_before(Step.POST):
                return InstalledSystem(Step.OSTREE, release)
            embedded = None
            if self.spends and document.archive_url is not None:
                embedded = await fetch_archive(self.machine, self.curl, document.archive_url)
        except BootFailedError as error:
            if reports is not None and error.step is not self.machine.behaviour.aborts_at:
                await reports.failed(f"the installer stopped: {error.sentence}")
            raise
        ended_at = await self._report_end(document, reports)
        return InstalledSystem(ended_at, release, document.first_boot, embedded, document.notes)

    async def _pull(self, document: KickstartDocument, ref_commit: str | None) -> PulledRelease:
        timeline = self.machine.timeline
        began_s = timeline.now_s
        async with ClientPool(self.machine) as clients:
            pull = ReleasePull(
                clients, document.release_url or "", document.ref or "", lambda: timeline.now_s, ref_commit
            )
            release = await pull.run()
        timeline.add(Step.OSTREE, str(release), size_bytes=release.size_bytes, since_s=began_s)
        return release

    async def _report_end(self, document: KickstartDocument, reports: InstallReports | None) -> Step:
        """Play the last %post; return the last step."""
        if reports is not None and "post" in document.events:
            await reports.post()
        if self._ends_before(Step.INSTALLED):
            return Step.POST
        if reports is not None and "done" in document.events:
            await reports.done()
            await reports.log("post", ["netboot: the install is reported"])
        return Step.INSTALLED
