"""Reads a file by TFTP as one firmware or loader reads it, and names what it prints when it fails."""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Final

from netboot.model.install.event import Step
from netboot.model.words import printable_line, shown_size
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import FileReader
from netboot.probe.loaded_file import FileMissingError, FileRecorder, LoadedFile, kept_bytes
from netboot.probe.tftp.file_receiver import FileReceiver, TransferEnding, TransferOutcome
from netboot.probe.tftp.tftp_rules import TftpRules
from netboot.probe.tftp.transfer_socket import Line, TransitS, UnreachableError, transfer

TFTP_PORT: Final = 69
LONGEST_TRANSFER_S: Final = 600.0
_ERROR_MISSING: Final = 1
_CURES: Final = {
    TransferEnding.NO_REPLY: "check that the TFTP server runs and that UDP port 69 and its transfer ports are open",
    TransferEnding.STALLED: "check that the ports above 1023 are open by UDP, or set tftp.single_port",
    TransferEnding.WRONG_OACK: "let the TFTP server accept only the options of the request, with no larger value",
    TransferEnding.NO_OACK: "use a TFTP server that accepts options (RFC 2347)",
    TransferEnding.NO_SIZE: "use a TFTP server that accepts the option tsize (RFC 2349)",
}


def _arrives_at_once(_size_bytes: int) -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class TftpClient:
    """Reads from one server; `transit_s` decides for each datagram whether and when it arrives."""

    machine: FileReader
    server: IPv4Address
    port: int = TFTP_PORT
    transit_s: TransitS = _arrives_at_once

    async def read(self, name: str, rules: TftpRules, *, step: Step, probe: TftpRules | None = None) -> LoadedFile:
        """Read a file; first its size by `probe`, if the client does so. Raise BootFailedError as the client fails."""
        for _ in range(self.machine.behaviour.retries):
            await self._read_once(name, rules, step, probe)
        return await self._read_once(name, rules, step, probe)

    async def _read_once(self, name: str, rules: TftpRules, step: Step, probe: TftpRules | None) -> LoadedFile:
        began_s = self.machine.timeline.now_s
        size_bytes = None
        if probe is not None:
            size_bytes = (await self._transfer(name, probe, step, FileRecorder(kept_bytes=0))).size_bytes
        recorder = FileRecorder(kept_bytes=kept_bytes(step))
        outcome = await self._transfer(name, rules, step, recorder, size_bytes=size_bytes)
        if outcome.ending is TransferEnding.TOO_SMALL:  # the client got the size, and takes a larger buffer
            recorder = FileRecorder(kept_bytes=kept_bytes(step))
            await self._transfer(name, replace(rules, buffer_bytes=outcome.size_bytes), step, recorder)
        loaded = recorder.loaded(name, f"tftp://{self.server}/{name.lstrip('/')}")
        if size_bytes is not None and size_bytes != loaded.size_bytes:
            raise BootFailedError(
                step,
                f"{rules.client} read {loaded.size_bytes} bytes of {printable_line(name)}, but tsize was {size_bytes}",
                cure="let the TFTP server announce the size that it sends",
            )
        text = f"{rules.client} read {printable_line(name)} by TFTP from {self.server}"
        self.machine.timeline.add(step, text, size_bytes=loaded.size_bytes, since_s=began_s)
        return loaded

    async def _transfer(
        self, name: str, rules: TftpRules, step: Step, recorder: FileRecorder, *, size_bytes: int | None = None
    ) -> TransferOutcome:
        behaviour = self.machine.behaviour
        is_switched_off = behaviour.aborts_at is step and not rules.is_probe
        receiver = FileReceiver(
            rules,
            name,
            recorder.write,
            aborts_at_bytes=(size_bytes or 0) // 2 if is_switched_off else None,
            size_bytes=size_bytes,
        )
        line = Line((str(self.server), self.port), str(self.machine.address or "0.0.0.0"), behaviour, self.transit_s)
        try:
            outcome = await transfer(receiver, line, timeout_s=LONGEST_TRANSFER_S)
        except UnreachableError as error:
            raise self._failure(name, rules, step, rules.texts.unreachable, detail=str(error)) from None
        except OSError as error:
            raise BootFailedError(
                step, f"no packet can be sent to {self.server}: {error}", cure="check the machine's address and route"
            ) from None
        if outcome.ending in (TransferEnding.COMPLETE, TransferEnding.SIZE_READ, TransferEnding.TOO_SMALL):
            return outcome
        raise self._failed(name, rules, step, outcome, receiver)

    def _failed(
        self, name: str, rules: TftpRules, step: Step, outcome: TransferOutcome, receiver: FileReceiver
    ) -> BootFailedError:
        texts, ending = rules.texts, outcome.ending
        if ending is TransferEnding.ABORTED:
            return BootFailedError(
                step,
                f"the machine was switched off after {shown_size(receiver.received_bytes)} of {printable_line(name)},"
                " as requested",
                cure="nothing is to be repaired",
            )
        if ending is TransferEnding.REFUSED and outcome.error_code == _ERROR_MISSING:
            return FileMissingError(
                step,
                f"{rules.client} prints {texts.missing!r}: {self.server} has no file {printable_line(name)}",
                cure="install the file in a directory of bootfiles.directories",
                evidence=(f"ERROR 1 {outcome.detail}",),
            )
        shown = {
            TransferEnding.NO_REPLY: texts.no_reply,
            TransferEnding.STALLED: texts.stalled,
            TransferEnding.WRONG_OACK: texts.wrong_oack,
            TransferEnding.NO_OACK: texts.no_oack,
            TransferEnding.NO_SIZE: texts.no_size,
        }.get(ending, texts.error)
        detail = outcome.detail
        if ending is TransferEnding.REFUSED:
            detail = f"ERROR {outcome.error_code} {outcome.detail}"
        return self._failure(name, rules, step, shown, detail=detail, cure=_CURES.get(ending))

    def _failure(
        self, name: str, rules: TftpRules, step: Step, shown: str, *, detail: str, cure: str | None = None
    ) -> BootFailedError:
        options = " ".join(f"{option} {value}" for option, value in rules.options)
        return BootFailedError(
            step,
            f"{rules.client} prints {shown!r}: {printable_line(name)} from {self.server} by TFTP: {detail}",
            cure=cure or "see the log of the TFTP server",
            evidence=(f"read request {printable_line(name)} octet {options}", detail),
        )
