"""A command that a rollout runs for the cluster, and the states of its run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from netboot.model.host.role_ignition import RoleUse

MOST_ATTEMPTS: Final = 3
RETRY_AFTER: Final = timedelta(seconds=30)  # then twice as long


class CommandKind(StrEnum):
    START = "start"  # prints the Ignition of the first node
    START_AGAIN = "start-again"  # installs network and catalog, once the API answers
    JOIN_CONTROL_PLANE = "join-control-plane"
    JOIN_WORKER = "join-worker"
    DRAIN = "drain"
    RESET = "reset"
    DELETE = "delete"


# The use of the file that a command prints.
FILE_OF: Final[Mapping[CommandKind, RoleUse]] = {
    CommandKind.START: RoleUse.INIT,
    CommandKind.JOIN_CONTROL_PLANE: RoleUse.CONTROL_PLANE,
    CommandKind.JOIN_WORKER: RoleUse.WORKER,
}
JOINS: Final = (CommandKind.JOIN_CONTROL_PLANE, CommandKind.JOIN_WORKER)
REMOVAL: Final = (CommandKind.DRAIN, CommandKind.RESET, CommandKind.DELETE)  # of a node that is replaced, in order


class CommandState(StrEnum):
    UNUSED = "unused"
    RUNNING = "running"
    NEEDS_PERSON = "needs-person"  # a person runs it, or what it printed, and confirms
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RolloutCommand:
    """The last run of a command. `detail`: how it ended, why it failed, or what a person does; it has no secret.

    `printed`: how many commands it printed for a person, which have a token and a key in them and are not stored.
    `cure`: what a person corrects if it failed; empty: nothing else is known.
    """

    kind: CommandKind
    state: CommandState = CommandState.UNUSED
    attempts: int = 0
    began_at: datetime | None = None
    ended_at: datetime | None = None
    next_at: datetime | None = None  # another attempt is made then
    detail: str = ""
    printed: int = 0
    cure: str = ""

    @property
    def is_done(self) -> bool:
        return self.state is CommandState.DONE

    @property
    def may_be_confirmed(self) -> bool:
        """Whether a person may state that it is done: also a step of a removal that was done before it failed."""
        return self.state is CommandState.NEEDS_PERSON or self.has_failed_to_remove

    @property
    def has_failed_to_remove(self) -> bool:
        return self.state is CommandState.FAILED and self.kind in REMOVAL

    def begun(self, at: datetime) -> "RolloutCommand":
        return replace(
            self, state=CommandState.RUNNING, attempts=self.attempts + 1, began_at=at, ended_at=None, next_at=None,
            detail="", printed=0, cure="",
        )  # fmt: skip

    def done(self, at: datetime, detail: str) -> "RolloutCommand":
        return replace(self, state=CommandState.DONE, ended_at=at, next_at=None, detail=detail, printed=0)

    def failed(self, detail: str, at: datetime, *, cure: str = "", is_final: bool = False) -> "RolloutCommand":
        """Return this command after a failed run; another attempt is planned while few were made, unless `is_final`.

        The first start is not repeated by itself: once it has made the cluster's keys, it prints no Ignition again.
        """
        is_last = is_final or self.attempts >= MOST_ATTEMPTS or self.kind in (CommandKind.START, *REMOVAL)
        next_at = None if is_last else at + RETRY_AFTER * 2 ** max(self.attempts - 1, 0)
        detail = f"{detail}; {cure}" if cure else detail
        return replace(self, state=CommandState.FAILED, ended_at=at, next_at=next_at, detail=detail, cure=cure)

    def interrupted(self) -> "RolloutCommand":
        """Return this command after its daemon was killed: it runs again, and this run is not counted."""
        return replace(self, state=CommandState.UNUSED, attempts=max(self.attempts - 1, 0))

    def for_a_person(self, detail: str, at: datetime, printed: int = 0) -> "RolloutCommand":
        began_at = self.began_at or at
        return replace(
            self, state=CommandState.NEEDS_PERSON, began_at=began_at, ended_at=at, next_at=None, detail=detail,
            printed=printed,
        )  # fmt: skip

    def renewed(self) -> "RolloutCommand":
        """Return this command as one that has not run: an operator resumes after its failure, or its file ended."""
        return RolloutCommand(self.kind)
