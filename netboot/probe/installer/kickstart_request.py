"""Requests the Kickstart as dracut does: once, by curl, with Anaconda's headers (ocne.md §6)."""

from typing import Final

from netboot.model.boot.boot_client import CPU_OF_ARCH, Cpu
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.http.http_client import HttpClient
from netboot.probe.installer.installer_arguments import KernelLine
from netboot.probe.machine_timeline import MachineTimeline

SERIAL: Final = "netboot-simulate"  # of DMI; a claim, by which nothing is decided
_MOST_BYTES: Final = 1 << 20


def anaconda_headers(line: KernelLine, mac: Mac, arch: int) -> tuple[tuple[str, str], ...]:
    """Return the headers of every request of Anaconda's dracut (anaconda-ks-sendheaders.sh): claims, no proof."""
    machine = "aarch64" if CPU_OF_ARCH.get(arch) is Cpu.ARM64 else "x86_64"
    headers = [("X-Anaconda-Architecture", machine), ("X-Anaconda-System-Release", "Oracle Linux Server")]
    if line.has("inst.ks.sendmac"):
        headers.append(("X-RHN-Provisioning-MAC-0", f"eth0 {mac}"))
    if line.has("inst.ks.sendsn"):
        headers.append(("X-System-Serial-Number", SERIAL))
    return tuple(headers)


async def request_kickstart(
    curl: HttpClient, url: str, headers: tuple[tuple[str, str], ...], timeline: MachineTimeline
) -> str:
    """Return the Kickstart; raise BootFailedError with what dracut shows then."""
    began_s, document = timeline.now_s, bytearray()

    def keep(data: bytes) -> None:
        document.extend(data)
        if len(document) > _MOST_BYTES:
            raise _failure("it has more than 1 MB, which is no Kickstart")

    answer = await curl.get(url, step=Step.KICKSTART, sink=keep, headers=headers, any_status=True)
    if answer.status != 200:
        raise _failure(f"The requested URL returned error: {answer.status}")
    text = f"Kickstart, sha256 {answer.sha256[:12]}"
    timeline.add(Step.KICKSTART, text, size_bytes=answer.size_bytes, since_s=began_s)
    return document.decode("utf-8", "replace")


async def expect_spent(curl: HttpClient, url: str, timeline: MachineTimeline) -> None:
    """Request the Kickstart of a started install again, as another machine could; it must be refused."""
    answer = await curl.get(url, step=Step.KICKSTART, any_status=True)
    if answer.status < 300:
        raise BootFailedError(
            Step.KICKSTART,
            "the server sends the Kickstart, which has the tokens of this install, again after the start",
            cure="a proxy or a cache in front of the appliance must not keep /ks/: take it out of the way",
            evidence=(f"second GET /ks/…: status {answer.status}, {answer.size_bytes} bytes",),
        )
    timeline.add(Step.KICKSTART, f"second request: refused (HTTP {answer.status}), as it must be after the start")


def _failure(shown: str) -> BootFailedError:
    return BootFailedError(
        Step.KICKSTART,
        f"dracut prints “curl: (22) {shown}”, waits 180 s and starts its emergency shell; the console shows no more",
        cure="netboot install show HOST: 404 is a token that was spent or replaced, 403 another machine's address, "
        "503 a document that cannot be rendered",
        evidence=(f"GET /ks/…: {shown}",),
    )
