"""The reports that netboot's own Kickstart sends, in its order and with its repeats (assets/templates/kickstart).

`curl --data-binary`: a POST as a form, without `Expect` up to 1 MB. A report is repeated until the server accepts it or
refuses it; a refused one ends the install, which reports `failed` then, before anything is written to the disk.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import FileReader
from netboot.probe.http.agents import CURL, HttpAgent
from netboot.probe.http.http_client import HttpClient
from netboot.probe.installer.kickstart_document import KickstartDocument

SCRIPT_CURL: Final[HttpAgent] = replace(CURL, waits_s=())  # without --retry: the scripts repeat

_REFUSED: Final = (403, 404, 409, 410)
_HELD: Final = 423
_HELD_PAUSE_S: Final = 5.0
_PAUSE_S: Final = 3.0
_TRIES: Final = 40
_TRIES_OF_A_FAILURE: Final = 5
_DONE_PAUSE_S: Final = 5.0
_DONE_TRIES: Final = 120
_STEPS: Final = {"checks": Step.CHECKS, "started": Step.INSTALLING, "post": Step.POST, "done": Step.INSTALLED}


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check as the installer reports it: `NAME RESULT what was found`."""

    name: str
    result: str
    found: str

    def __str__(self) -> str:
        return f"{self.name} {self.result} {self.found}"


@dataclass(frozen=True, slots=True)
class InstallReports:
    """Sends the reports of one install by curl without options to repeat. `document` has a URL for them."""

    machine: FileReader
    curl: HttpClient
    document: KickstartDocument

    async def checks(self, checks: Sequence[CheckLine]) -> None:
        """Report the checks; raise BootFailedError if one failed or the server refuses the machine."""
        failed = "; ".join(check.found for check in checks if check.result == "fail")
        lines = ["netboot-checks 1", *map(str, checks), "disks present:", "NAME MODEL", "simulated"]
        body = "".join(f"{line}\n" for line in lines).encode("ascii", "replace")
        await self._submit("checks", body, tries=_TRIES_OF_A_FAILURE if failed else _TRIES, failed=failed)
        if failed:
            raise await self._refusal("checks", failed)

    async def started(self) -> None:
        """Report the start, after which the disk is written; raise BootFailedError if the server refuses it."""
        await self._submit("started", b"", tries=_TRIES)

    async def post(self) -> None:
        """Report that %post began: sent once, whatever the answer is."""
        with suppress(BootFailedError):
            status = await self._send("post", b"")
            self.machine.timeline.add(Step.POST, f"report post: status {status}")

    async def done(self) -> None:
        """Report the end; raise BootFailedError if it is not acknowledged, because the install would begin again."""
        status = 0
        for _ in range(_DONE_TRIES):
            status = await self._status("done", b"")
            if 200 <= status < 300:
                self.machine.timeline.add(Step.INSTALLED, "report done: acknowledged")
                return
            if status in _REFUSED:
                break  # curl repeats it for ten minutes, which changes nothing
            await self._pause(_DONE_PAUSE_S)
        raise BootFailedError(
            Step.INSTALLED,
            f"the report done is not acknowledged (HTTP {status}): the machine repeats it for 10 minutes and restarts, "
            "and the appliance still counts it as being installed",
            cure="netboot install show HOST; it may be cancelled, or its host was removed",
            evidence=(f"POST /report/…/done: status {status}",),
        )

    async def log(self, section: str, lines: Sequence[str]) -> None:
        """Send what a script printed, at its end and once; the answer changes nothing."""
        if self.document.log_url is None:
            return
        body = "".join(f"netboot-{section}: {line}\n" for line in lines).encode()
        with suppress(BootFailedError):
            answer = await self.curl.post(self.document.log_url, body, step=Step.CHECKS, any_status=True)
            if answer.status >= 400:
                self.machine.timeline.add(Step.CHECKS, f"report log of %{section}: status {answer.status}")

    async def failed(self, reason: str) -> None:
        """Report the end of a failed install, five times at most; what it leads to is shown by the server."""
        for _ in range(_TRIES_OF_A_FAILURE):
            status = await self._status("failed", f"{reason}\n".encode("ascii", "replace"))
            if 200 <= status < 300 or status in _REFUSED:
                break
            await self._pause(_PAUSE_S)

    async def _submit(self, event: str, body: bytes, *, tries: int, failed: str = "") -> None:
        status, tried = 0, 0
        while tried < tries:
            status = await self._status(event, body)
            if status == _HELD:  # until a person confirms the machine
                await self._pause(_HELD_PAUSE_S)
                continue
            tried += 1
            if 200 <= status < 300:
                self.machine.timeline.add(_STEPS[event], f"report {event}: acknowledged", size_bytes=len(body))
                return
            if status == 400:
                sentence = f"the server does not understand the report of the {event} (HTTP 400); netboot check"
                raise await self._refusal(event, failed or sentence, status=status)
            if status in _REFUSED:
                sentence = f"the server does not allow this install (HTTP {status})"
                raise await self._refusal(event, failed or sentence, status=status)
            await self._pause(_PAUSE_S)
        sentence = f"the server did not acknowledge the report {event} in {tries} tries (last HTTP status {status:03})"
        raise await self._refusal(event, failed or sentence, status=status)

    async def _refusal(self, event: str, reason: str, *, status: int | None = None) -> BootFailedError:
        """Report the failure as the script does; return the error with which it ends."""
        await self.failed(f"{reason}; nothing was written")
        evidence = () if status is None else (f"POST /report/…/{event}: status {status}",)
        return BootFailedError(
            _STEPS[event],
            f"the console shows “netboot: {reason}; nothing was written”",
            cure="netboot install show HOST: it has the checks, and why an arming ended",
            evidence=evidence,
        )

    async def _status(self, event: str, body: bytes) -> int:
        """Send a report; 0 is curl's 000: no answer."""
        try:
            return await self._send(event, body)
        except BootFailedError as error:
            if self.machine.behaviour.aborts_at is error.step:  # it is switched off
                raise
            return 0

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(self.machine.behaviour.wait_s(seconds))

    async def _send(self, event: str, body: bytes) -> int:
        answer = await self.curl.post(
            f"{self.document.report_url}/{event}", body, step=_STEPS.get(event, Step.FAILED), any_status=True
        )
        return answer.status
