"""Files that a loader and an installer fetch by name, by TFTP or HTTP, and the progress of each machine.

Loaders and content cannot harm a machine and are served without the store. A document is made for one
machine; `boot.script_service` writes every document that can start an installer.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from ipaddress import IPv4Address
from typing import Final, assert_never

from netboot.boot.firmware import requested_names as names
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.script_service import ScriptService
from netboot.boot.sessions.identity import Identification
from netboot.boot.sessions.machines_seen import BootSession, SeenMachine, SeenMachines
from netboot.content.bootfiles.directories import BootFile
from netboot.content.serving.index import ContentIndex
from netboot.content.serving.pull_progress import PullProgress
from netboot.content.serving.served_file import ServedFile
from netboot.content.serving.trees import ReleaseTree
from netboot.events.event_bus import EventBus
from netboot.model.boot.boot_progress import BootProgress, RunningTransfer
from netboot.model.boot.loader_names import LoaderKind, loader_kind
from netboot.model.boot.offer import DocumentKind, MachineDocument, ScriptLanguage
from netboot.model.clock import Clock
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.model.install.token import without_any_token
from netboot.model.release import ContentKind
from netboot.model.words import printable_line

FAILED_TRANSFERS: Final = 5  # that are recorded in one boot of each content and outcome
PULLS_FOR_S: Final = 120.0  # a pull without a request for this long has ended

_STEP_OF_CONTENT: Final = {
    ContentKind.KERNEL: Step.KERNEL,
    ContentKind.INITRD: Step.INITRD,
    ContentKind.STAGE2: Step.STAGE2,
}


@dataclass(frozen=True, slots=True, eq=False)
class FileService:
    """Answers TFTP and HTTP requests for boot files; records served content."""

    registry: LiveRegistry
    seen: SeenMachines
    _: KW_ONLY
    identification: Identification
    script_service: ScriptService
    content: ContentIndex
    events: EventBus
    clock: Clock

    def requested_name(self, address: IPv4Address, name: str) -> str:
        """Return the requested name without the tail that a ROM appends to an offered name.

        The name of a file or document of ours is returned as it is. Where it is not known what the machine at this
        address was offered, every loader that is offered here counts.
        """
        self.registry.renew_boot_files()
        registry = self.registry.now
        if names.document_named(name) is not None or names.find_loader(registry.boot_files, name) is not None:
            return name
        mac, host = self.identification.machine_at(address)
        macs = host.macs if host is not None else (mac,) if mac is not None else ()
        machines = [seen for each in macs if (seen := self.seen.get(each)) is not None]
        offered = [variant.loader for seen in machines if (variant := seen.boot.trace.variant) is not None]
        return names.without_tail(name, offered or registry.policy.every_loader()) or name

    def request_file(
        self, address: IPv4Address, name: str, *, mac: Mac | None = None
    ) -> BootFile | MachineDocument | None:
        """Find what a name means for the machine at this address: a boot file, or a document of its own.

        `mac` is the MAC in the URL, where it has one. A document is rendered by `render`.
        """
        mac_there, host = self.identification.machine_at(address)
        document = names.document_named(name)
        if document is not None:
            kind, named = document
            return MachineDocument(kind, mac or self._mac_in_name(named, mac_there, host) or mac_there)
        self.registry.renew_boot_files()
        file = names.find_loader(self.registry.now.boot_files, name)
        seen = self.seen.get(mac_there) if mac_there else None
        if seen is not None and (file is not None or not names.is_requested_by_loaders(name)):
            seen.boot.trace.note_file_request(name, file)
            self._record_other_file(seen, host, seen.boot.trace.other_file or _file_of_loader(seen, name, file))
        return file

    def _record_other_file(self, seen: SeenMachine, host: Host | None, name: str) -> None:
        """Record that a machine requests another file than it was offered, once in each boot."""
        variant = seen.boot.trace.variant
        if variant is not None and name and seen.boot.note_problem("other-file"):
            data = {"name": without_any_token(name), "loader": variant.loader}
            self.events.emit("boot.other_file_requested", data, host=host, mac=seen.mac, level=logging.WARNING)

    async def render(
        self, document: MachineDocument, address: IPv4Address, *, base_url: str, is_head: bool = False
    ) -> str | None:
        """Render what `request_file` found; None if its machine is not known.

        `base_url` is this server as the machine reaches it. `is_head`: a HEAD request changes nothing.
        """
        match document.kind:
            case DocumentKind.IPXE_AUTOEXEC:
                return self.registry.now.documents.autoexec(document.mac, base_url=base_url)
            case DocumentKind.GRUB_CONFIG:
                if document.mac is None:
                    return None
                script = await self.script_service.serve_script(
                    document.mac, address, ScriptLanguage.GRUB, base_url=base_url, is_head=is_head
                )
                return script.text
            case _:
                assert_never(document.kind)

    def _mac_in_name(self, named: Mac | None, mac_there: Mac | None, there: Host | None) -> Mac | None:
        """Return the MAC in a name, unless another machine is known to have the requesting address."""
        host = self.registry.now.hosts.by_mac(named) if named else None
        is_known = mac_there in (None, named) or (host is not None and there is not None and there.name == host.name)
        return named if is_known else None

    def record_loader(
        self, address: IPv4Address, name: str, *, bytes_sent: int, seconds: float, retransmissions: int, outcome: str
    ) -> None:
        """Record how a transfer of a boot file ended, by TFTP or HTTP."""
        mac, host = self.identification.machine_at(address)
        if mac is None or outcome not in ("sent", "unconfirmed", "closed") or names.document_named(name) is not None:
            return
        seen = self.seen.find_or_add(mac)
        seen.boot.trace.note_file_sent(name)
        if seen.boot.trace.got_loader:
            seen.loader_shown_s = self.clock.monotonic()
        if step := seen.boot.record_step(Step.LOADER):  # GRUB requests further files
            data: dict[str, str | int | float] = {"name": printable_line(name), "outcome": outcome}
            data |= {"bytes": bytes_sent, "seconds": round(seconds, 3), "retransmissions": retransmissions}
            self.events.emit("boot.loader_sent", data, host=host, mac=mac, step=step)

    def record_failed_loader(
        self, address: IPv4Address, name: str, *, outcome: str, bytes_sent: int, size_bytes: int, peer_error: str = ""
    ) -> None:
        """Record that a firmware did not receive a file; after its loader, a repeated request that ends late is none.

        `outcome` is that of a TFTP transfer, or `cut` of a response by HTTP.
        """
        mac, host = self.identification.machine_at(address)
        seen = self.seen.get(mac) if mac is not None else None
        if seen is None or seen.boot.trace.variant is None or Step.LOADER in seen.boot.steps:
            return
        sizes = bytes_sent, size_bytes
        self._emit_failed(seen, host, Step.LOADER, name, outcome=outcome, sizes=sizes, peer_error=peer_error)

    def record_cut_content(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        """Record that a response with kernel, initrd or stage 2 ended early. GRUB ends some to read from elsewhere."""
        mac, host = self.identification.machine_at(address)
        seen, step = self.seen.get(mac) if mac is not None else None, _STEP_OF_CONTENT.get(file.kind)
        if seen is None or step is None or step in seen.boot.steps:
            return
        variant = seen.boot.trace.variant
        if variant is None or loader_kind(variant.loader) is not LoaderKind.GRUB:
            self._emit_failed(seen, host, step, file.member, outcome="cut", sizes=(bytes_sent, file.size_bytes))

    def _emit_failed(
        self,
        seen: SeenMachine,
        host: Host | None,
        content: Step,
        name: str,
        *,
        outcome: str,
        sizes: tuple[int, int],
        peer_error: str = "",
    ) -> None:
        name = printable_line(name)
        if not seen.boot.note_problem(f"{content} {outcome}", most=FAILED_TRANSFERS):
            return
        data: dict[str, str | int] = {"content": content.value, "name": name, "outcome": outcome}
        data |= {"bytes": sizes[0], "size_bytes": sizes[1]}
        if peer_error:
            data |= {"peer_error": peer_error}
        self.events.emit("boot.transfer_failed", data, host=host, mac=seen.mac, level=logging.WARNING)

    def begin_transfer(
        self, address: IPv4Address, kind: ContentKind | None, name: str, size_bytes: int, *, sent: Callable[[], int]
    ) -> Callable[[], None]:
        """Note that a boot file (kind None), kernel, initrd or stage 2 is sent now; return what ends that.

        `sent` returns how many bytes were sent until now.
        """
        mac = self.identification.machine_at(address)[0]
        seen = self.seen.get(mac) if mac is not None else None
        step = Step.LOADER if kind is None else _STEP_OF_CONTENT.get(kind)
        if seen is None or step is None or step in seen.boot.steps:
            return _nothing
        boot, began_s = seen.boot, self.clock.monotonic()
        running = boot.transfer = RunningTransfer(step, printable_line(name), size_bytes, began_s, sent)

        def end() -> None:
            if boot.transfer is running:
                boot.transfer = None

        return end

    def record_content(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        """Record what a machine got of kernel, initrd, stage 2 or its OSTree release."""
        mac, host = self.identification.machine_at(address)
        if mac is None:
            return
        seen, step = self.seen.find_or_add(mac), _STEP_OF_CONTENT.get(file.kind)
        if step is not None:
            if bytes_sent >= file.size_bytes and self.seen.record_step(seen, step):
                data: dict[str, str | int | float] = {"name": file.member, "bytes": bytes_sent}
                if (transfer := seen.boot.transfer) is not None and transfer.step is step:
                    data["seconds"] = round(self.clock.monotonic() - transfer.began_s, 3)
                self.events.emit("boot.content_sent", data, host=host, mac=mac, step=step)
        elif file.kind is ContentKind.OSTREE_OBJECT:
            self._record_pull(seen, host, file)

    def _record_pull(self, seen: SeenMachine, host: Host | None, file: ServedFile) -> None:
        boot = seen.boot
        if boot.pull is None or boot.pull.release != file.owner:
            tree = self.content.release_tree(file.owner)
            if tree is None:
                return
            boot.pull, boot.pull_began_s = self._begun_pull(boot, tree), self.clock.monotonic()
        if boot.pull.object_count is None:
            boot.pull.object_count = self.registry.now.documents.content.object_count(file.owner)
        boot.pulled_s = self.clock.monotonic()
        before, percent = boot.pull.percent, boot.pull.record_request(file.member, file.size_bytes)
        if percent // 5 > before // 5:
            data: dict[str, str | int | float] = {"release": file.owner, "percent": percent, "bytes": boot.pull.bytes}
            data["seconds"] = round(boot.pulled_s - boot.pull_began_s, 3)
            self.events.emit("boot.content_pulled", data, host=host, mac=seen.mac, step=Step.OSTREE)

    def _begun_pull(self, boot: BootSession, tree: ReleaseTree) -> PullProgress:
        """Begin to count a pull; one that ran before a restart of the daemon goes on."""
        before = boot.pulled_before
        if before is None or before.detail != tree.name:
            return PullProgress(tree)
        return PullProgress(tree, percent_before=before.percent or 0, bytes_before=before.bytes)

    def record_refusal(self, address: str, reason: str) -> None:
        """Record that an HTTP request was refused before it reached a handler, under its machine's host if known."""
        mac = host = None
        with suppress(ValueError):  # not IPv4, so not a machine of ours
            mac, host = self.identification.machine_at(IPv4Address(address))
        data = {"address": address, "reason": str(reason)}
        self.events.emit("http.refused", data, host=host, mac=mac, level=logging.WARNING)

    def progress(self, mac: Mac) -> BootProgress | None:
        """Return how far the file or release is that is sent to a machine now; None if nothing is."""
        seen, now_s = self.seen.get(mac), self.clock.monotonic()
        if seen is None:
            return None
        boot = seen.boot
        if boot.transfer is not None:
            return boot.transfer.progress(now_s)
        pull = boot.pull
        if pull is None or pull.share >= 1.0 or now_s - boot.pulled_s > PULLS_FOR_S:
            return None
        return pull.progress(now_s - boot.pull_began_s)

    def pulls(self) -> list[str]:
        """Name the releases that machines pull now; these must not be removed."""
        since_s = self.clock.monotonic() - PULLS_FOR_S
        pulls = [seen.boot.pull for seen in self.seen if seen.boot.pull is not None and seen.boot.pulled_s >= since_s]
        return sorted({pull.release for pull in pulls if pull.percent < 100})


def _file_of_loader(seen: SeenMachine, name: str, file: BootFile | None) -> str:
    """Return the name of a missing file that an iPXE requests instead of its script; empty if it does not."""
    trace = seen.boot.trace
    if file is not None or trace.variant is None or not trace.got_loader or trace.reached_script:
        return ""
    is_ipxe = loader_kind(trace.variant.loader) in (LoaderKind.IPXE_BIOS, LoaderKind.IPXE_UEFI)
    return printable_line(name, longest=80) if is_ipxe else ""  # GRUB and others request files of their own


def _nothing() -> None:
    """End a transfer that is no step of a boot."""
