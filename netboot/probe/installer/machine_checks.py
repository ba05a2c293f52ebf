"""The checks of netboot's Kickstart before it writes the disk (checks.ks.j2); those that concern the server are real.

The clock is compared with the server's, and the release's ref is requested. Disk and memory are those of a machine that
fits; what needs tools on the LAN is skipped, as an installer without these tools does.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from netboot.model.boot.boot_client import CPU_OF_ARCH, Cpu
from netboot.model.clock import utc_now
from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import FileReader
from netboot.probe.http.agents import CURL
from netboot.probe.http.http_client import HttpClient
from netboot.probe.installer.install_reports import CheckLine
from netboot.probe.installer.kickstart_document import KickstartDocument

_RETRYING_CURL: Final = replace(CURL, waits_s=(1.0, 2.0))  # --retry 2
_LARGEST_DIFFERENCE_S: Final = 300.0
_SKIPPED: Final = ("address", "gateway", "ntp", "vip")


@dataclass(slots=True)
class MachineChecks:
    """The checks of one machine; `ref_commit` is what the release's ref was, once it was read."""

    machine: FileReader
    curl: HttpClient
    document: KickstartDocument
    arch: int
    ref_commit: str | None = field(default=None, init=False)

    async def make(self) -> list[CheckLine]:
        """Make the checks in the order of the Kickstart."""
        is_bios = CPU_OF_ARCH.get(self.arch) is Cpu.X86_BIOS
        bios = "the machine booted by BIOS, and OCK boots by UEFI only: set its firmware to UEFI"
        checks = [
            CheckLine("firmware", "fail", bios) if is_bios else CheckLine("firmware", "pass", "booted by UEFI"),
            CheckLine("identity", "skipped", "a simulated machine has no SMBIOS"),
            CheckLine("disk", "pass", f"{self.document.disk}, 480 GB (simulated)"),
            CheckLine("members", "pass", "no array and no volume group uses the disk (simulated)"),
            CheckLine("memory", "pass", "8192 MiB (simulated)"),
            await self._clock(),
            *(CheckLine(name, "skipped", "a simulated machine makes no such probe") for name in _SKIPPED),
        ]
        if self.document.has_ref_check and (self.document.release_url or "").startswith("http:"):
            checks.append(await self._release())
        for check in checks:
            if check.result == "fail":
                self.machine.timeline.add(Step.CHECKS, f"check {check.name}: {check.found}")
        return checks

    async def _clock(self) -> CheckLine:
        if self.document.clock_url is None:
            return CheckLine("clock", "skipped", "the Kickstart names no URL to compare the clock with")
        try:
            answer = await self.curl.get(self.document.clock_url, step=Step.CHECKS, any_status=True)
            server = parsedate_to_datetime(answer.headers.get("date", ""))
        except (BootFailedError, ValueError):
            return CheckLine("clock", "skipped", "the appliance sent no date that can be read")
        ahead_s = (utc_now() - server.astimezone(UTC)).total_seconds()
        off = f"{-ahead_s:.0f} s behind" if ahead_s < 0 else f"{ahead_s:.0f} s ahead of"
        if abs(ahead_s) <= _LARGEST_DIFFERENCE_S:
            return CheckLine("clock", "pass", f"{off} the appliance's clock")
        return CheckLine("clock", "fail", f"the clock is {off} the appliance's: set it, or set install.set_clock")

    async def _release(self) -> CheckLine:
        """Request the ref as `curl --fail --retry 2` does."""
        url = f"{self.document.release_url}/refs/heads/{self.document.ref}"
        name = (self.document.release_url or "").rpartition("/")[2]
        async with HttpClient(self.machine, _RETRYING_CURL) as curl:
            try:
                answer = await curl.get(url, step=Step.CHECKS)
            except BootFailedError as error:
                return CheckLine("release", "fail", f"the release {name} cannot be fetched: {error.sentence}")
        self.ref_commit = answer.body.decode("ascii", "replace").strip() or None
        return CheckLine("release", "pass", f"{name}, ref {self.document.ref}")
