"""Verifications of content by the daemon: one at a time, in a process of low priority, whose progress is shown."""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import structlog

from netboot.content.library.progress import ProgressReport
from netboot.errors import ContentError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.operate.audit import audited
from netboot.operate.content.content_changes import ContentRefusedError
from netboot.operate.content.progress_process import ProgressProcess

VERIFY_S: Final = 4 * 3600.0
_KEPT: Final = 20

log = structlog.get_logger()

VerifyCommand = Callable[[str | None], Sequence[str]]


class VerificationState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class UnknownVerificationError(ContentError):
    """No verification has this id, or it is no longer kept."""

    code = "verification-unknown"


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification of one entry, or of all (`name` is None).

    `verdicts` are the results, one for each entry, as `netboot content verify --json` prints them; `error` is why there
    are none.
    """

    id: str
    name: str | None
    actor: str
    began_at: datetime
    state: VerificationState = VerificationState.RUNNING
    progress: ProgressReport | None = None
    ended_at: datetime | None = None
    verdicts: Sequence[Mapping[str, Any]] = ()
    error: str | None = None

    @property
    def subject(self) -> str:
        return self.name or "all content"

    @property
    def is_sound(self) -> bool:
        """It is done, and found no damage."""
        return self.state is VerificationState.DONE and all(verdict["ok"] for verdict in self.verdicts)


class Verifications:
    """The newest verifications; they are in memory, and end with the daemon."""

    def __init__(self, command: VerifyCommand, *, events: EventBus, now: Callable[[], datetime]) -> None:
        """Verify by the process that `command` names for an entry, or for all; it prints a list in JSON."""
        self._command, self._events, self._now = command, events, now
        self._kept: deque[Verification] = deque(maxlen=_KEPT)
        self._begun: asyncio.Queue[str] = asyncio.Queue()
        self._process: ProgressProcess | None = None

    def all(self) -> list[Verification]:
        """List the verifications, newest first."""
        return [*self._kept]

    def running(self) -> Verification | None:
        return next((each for each in self._kept if each.state is VerificationState.RUNNING), None)

    def refusal(self) -> str | None:
        """Return why no verification can begin now."""
        running = self.running()
        if running is None:
            return None
        return f"{running.subject} is being verified now; wait until that has ended, or cancel it"

    def begin(self, name: str | None, *, actor: Actor) -> Verification:
        """Begin to verify an entry, or all; raise ContentRefusedError while another verification runs."""
        with audited(self._events, "verify content", actor, subject=name or "all"):
            if (refusal := self.refusal()) is not None:
                raise ContentRefusedError(refusal)
            begun = Verification(secrets.token_hex(8), name, actor.name, self._now())
        self._kept.appendleft(begun)
        self._begun.put_nowait(begun.id)
        return begun

    async def cancel(self, id_: str, *, actor: Actor) -> Verification:
        """End a running verification, which changes nothing; one that has ended stays as it is."""
        with audited(self._events, "cancel verification", actor, subject=id_):
            found = self._get(id_)
            if found.state is not VerificationState.RUNNING:
                raise ContentRefusedError(f"the verification is {found.state}; only a running one can be cancelled")
            self._replace(id_, state=VerificationState.CANCELLED, ended_at=self._now(), progress=None)
        if self._process is not None:
            await self._process.stop()
        return self._get(id_)

    async def run(self) -> None:
        """Run the verifications that are begun, until cancelled."""
        while True:
            id_ = await self._begun.get()
            if self._get(id_).state is VerificationState.RUNNING:
                await self._run(id_)

    async def _run(self, id_: str) -> None:
        def note(report: ProgressReport) -> None:
            self._replace(id_, progress=report)

        self._process = ProgressProcess(self._command(self._get(id_).name), note)
        try:
            verdicts = await _verdicts(self._process)
        except (ContentError, OSError) as error:
            ended: dict[str, Any] = {"state": VerificationState.FAILED, "error": str(error)}
        else:
            ended = {"state": VerificationState.DONE, "verdicts": verdicts}
        finally:
            self._process = None
        if self._get(id_).state is VerificationState.RUNNING:
            self._replace(id_, **ended, ended_at=self._now(), progress=None)
        found = self._get(id_)
        data = {"subject": found.subject, "state": found.state.value, "is_sound": found.is_sound}
        self._events.emit("content.verified", data)

    def _get(self, id_: str) -> Verification:
        found = next((each for each in self._kept if each.id == id_), None)
        if found is None:
            raise UnknownVerificationError(f"no verification has the id {id_}; the newest {_KEPT} are kept")
        return found

    def _replace(self, id_: str, **fields: Any) -> None:
        for place, each in enumerate(self._kept):
            if each.id == id_:
                self._kept[place] = replace(each, **fields)


async def _verdicts(process: ProgressProcess) -> list[dict[str, Any]]:
    try:
        async with asyncio.timeout(VERIFY_S):
            outcome = await process.run()
    except TimeoutError:
        raise ContentError(f"it took more than {VERIFY_S / 3600:.0f} hours; use netboot content verify") from None
    try:
        verdicts: list[dict[str, Any]] = json.loads(outcome.printed)
        if isinstance(verdicts, list):
            return verdicts  # with exit code 1 if one is damaged
    except ValueError:
        pass
    raise ContentError(outcome.sentence("the verification"))
