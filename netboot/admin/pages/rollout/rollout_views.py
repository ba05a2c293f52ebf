"""What the page shows of a rollout: its stages, commands and hosts, and what a person does. Pure."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from urllib.parse import urlencode

from netboot.admin.pages.action_link import ActionLink
from netboot.admin.pages.actions.action_urls import host_url
from netboot.admin.pages.attention_row import AttentionRow
from netboot.admin.pages.rollout.rollout_stages import RolloutStage, stages_of
from netboot.model.hidden import without_secrets
from netboot.model.host.host import Host, HostSet
from netboot.model.rollout.command import FILE_OF, CommandKind, CommandState, RolloutCommand
from netboot.model.rollout.rollout import Phase, RolloutState
from netboot.model.words import printable, shown_seconds
from netboot.operate.rollout.rollout_board import RolloutBoard, RolloutRefusals
from netboot.operate.rollout.rollout_status import RolloutHostStatus, RolloutStatus, retry_steps

ROLLOUT_PATH: Final = "/rollout"
_RETRIED: Final = frozenset({Phase.FAILED, Phase.CANCELLED})
_NAMED: Final = 5  # hosts of a row that needs attention


@dataclass(frozen=True, slots=True)
class ExpectedStep:
    """What a host does at a time that is estimated."""

    what: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RolloutHostRow:
    """One host. `action`: its retry if it failed or was cancelled, else its cancellation; None after the rollout."""

    status: RolloutHostStatus
    url: str
    reason: str
    action: ActionLink | None = None

    @property
    def to_come(self) -> Sequence[ExpectedStep]:
        """What is expected of it, in order."""
        times = self.status.expected
        if times is None:
            return ()
        steps = (
            ("install", times.install_at),
            ("installed", times.installed_at),
            ("joins", times.join_at),
            ("ready", times.ready_at),
        )
        return [ExpectedStep(what, at) for what, at in steps if at is not None]


@dataclass(frozen=True, slots=True)
class RolloutCommandRow:
    """The last run of a command. `text`: its argument list; empty: a person does it."""

    status: RolloutCommand
    text: str
    outcome: str
    took: str


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A machine that a person powers on, and where it is: its MACs and labels."""

    host: RolloutHostStatus
    url: str
    macs: Sequence[str]
    labels: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout. `by_person`: the command that waits for a person; `confirm`: the request that notes it as done."""

    status: RolloutStatus
    counts: Sequence[tuple[Phase, int]]
    stages: Sequence[RolloutStage]
    commands: Sequence[RolloutCommandRow]
    hosts: Sequence[RolloutHostRow]
    persons: Sequence[PersonRow]
    by_person: RolloutCommand | None
    next: str
    actions: Sequence[ActionLink] = ()
    cancel: ActionLink | None = None
    confirm: ActionLink | None = None

    @property
    def file_url(self) -> str | None:
        """Where the file is set that the rollout waits for; None: it waits for none."""
        if self.by_person is None or self.by_person.printed or self.by_person.kind not in FILE_OF:
            return None
        return f"/cluster/ignition/{FILE_OF[self.by_person.kind]}"

    @property
    def took(self) -> str:
        ended_at = self.status.ended_at
        return shown_seconds((ended_at - self.status.began_at).total_seconds()) if ended_at is not None else ""

    @property
    def is_good(self) -> bool:
        """Whether every host became ready."""
        return all(each.status.phase is Phase.READY for each in self.hosts)

    @classmethod
    def active_of(cls, board: RolloutBoard, hosts: HostSet) -> Self | None:
        """Show the active rollout; `hosts` are in force."""
        if board.active is None or board.refusals is None:
            return None
        refusals = board.refusals
        shown = [_host_row(each, refusals) for each in board.active.hosts]
        return cls(
            board.active,
            _counts(board.active),
            stages_of(board.active, board.deadlines),
            _commands(board.active, board.commands),
            shown,
            [_person(row, hosts.get(row.status.host)) for row in shown if row.status.phase is Phase.NEEDS_PERSON],
            next((each for each in board.active.commands if each.may_be_confirmed), None),
            printable(board.active.next_command or ""),
            (
                ActionLink("pause", "Pause", f"{ROLLOUT_PATH}/pause", refusals.pause),
                ActionLink("resume", "Resume", f"{ROLLOUT_PATH}/resume", refusals.resume),
            ),
            ActionLink("cancel", "Cancel the rollout", f"{ROLLOUT_PATH}/cancel"),
            ActionLink("confirm", "Confirm", f"{ROLLOUT_PATH}/confirm", refusals.confirm),
        )

    @classmethod
    def ended_of(cls, board: RolloutBoard) -> Self | None:
        """Show the rollout that ended last."""
        ended = board.ended
        if ended is None:
            return None
        rows = [_host_row(each, None) for each in ended.hosts]
        rows.sort(key=lambda row: row.status.phase is not Phase.FAILED)
        return cls(ended, _counts(ended), stages_of(ended, {}), _commands(ended, board.commands), rows, (), None, "")


def action_url(action: str, host: str) -> str:
    """Return the URL of the confirmation of an action on a host of the rollout."""
    return f"{ROLLOUT_PATH}/{action}?{urlencode({'host': host})}"


def _host_row(host: RolloutHostStatus, refusals: RolloutRefusals | None) -> RolloutHostRow:
    action = None
    if refusals is not None and host.phase in _RETRIED:
        action = ActionLink("retry", "Retry", action_url("retry", host.host), refusals.retry_hosts.get(host.host))
    elif refusals is not None:
        action = ActionLink("cancel", "Cancel", action_url("cancel", host.host), refusals.cancel_hosts.get(host.host))
    return RolloutHostRow(host, host_url(host.host), printable(host.reason), action)


def _person(row: RolloutHostRow, declared: Host | None) -> PersonRow:
    macs = [str(mac) for mac in declared.macs] if declared is not None else []
    return PersonRow(row.status, row.url, macs, declared.labels if declared is not None else {}, row.reason)


def _commands(rollout: RolloutStatus, configured: Mapping[CommandKind, Sequence[str]]) -> Sequence[RolloutCommandRow]:
    ran = sorted(rollout.commands, key=lambda each: each.began_at or rollout.began_at)
    return [_command(each, configured.get(each.kind, ())) for each in ran]


def _command(each: RolloutCommand, arguments: Sequence[str]) -> RolloutCommandRow:
    text, outcome = without_secrets(shlex.join(arguments)), printable(each.detail)
    has_ended = each.state in (CommandState.DONE, CommandState.FAILED)
    if has_ended and each.began_at is not None and each.ended_at is not None:
        return RolloutCommandRow(each, text, outcome, shown_seconds((each.ended_at - each.began_at).total_seconds()))
    return RolloutCommandRow(each, text, outcome, "")


def _counts(rollout: RolloutStatus) -> Sequence[tuple[Phase, int]]:
    count = Counter(each.phase for each in rollout.hosts)
    return [(phase, count[phase]) for phase in Phase if count[phase]]


def rollout_attention(board: RolloutBoard | None, ready: Collection[str]) -> Iterator[AttentionRow]:
    """List what of the newest rollout waits for an operator: failures first. `ready`: hosts that are ready now."""
    newest = (board.active or board.ended) if board is not None else None
    if board is None or newest is None or newest.state is RolloutState.CANCELLED:
        return
    name = f"rollout {newest.id}"
    failed = [each for each in newest.hosts if each.phase is Phase.FAILED and each.host not in ready]
    if failed:
        one = failed[0].reason if len(failed) == 1 else ""
        sentence = f"{_names(failed)} failed" + (f": {one}" if one else "")
        cure = _cure(failed, newest, board.refusals) if board.refusals is not None else ""
        yield _row("failed", name, sentence, cure, is_error=True, since=_newest(failed))
    elif newest.state is RolloutState.PAUSED:
        yield _row("paused", name, f"is paused: {newest.reason}", newest.next_command or "")
    persons = [each for each in newest.hosts if each.phase is Phase.NEEDS_PERSON]
    if persons:
        waits = "waits for a person" if len(persons) == 1 else "wait for a person"
        yield _row("person", name, f"{_names(persons)} {waits}", persons[0].reason, since=_newest(persons))
    command = next((each for each in newest.commands if each.state is CommandState.NEEDS_PERSON), None)
    if command is not None and newest.ended_at is None:
        yield _row("command", name, f"{command.kind} waits for a person", command.detail, since=command.began_at)


def _cure(failed: Sequence[RolloutHostStatus], rollout: RolloutStatus, refusals: RolloutRefusals) -> str:
    """Return how the first of the failed hosts is retried that may be; else why the first one may not."""
    may_be = next((each for each in failed if each.host not in refusals.retry_hosts), None)
    return retry_steps(may_be.host, rollout.state) if may_be is not None else refusals.retry_hosts[failed[0].host]


def _names(hosts: Sequence[RolloutHostStatus]) -> str:
    named = ", ".join(each.host for each in hosts[:_NAMED])
    return f"{named} and {len(hosts) - _NAMED} more" if len(hosts) > _NAMED else named


def _newest(hosts: Sequence[RolloutHostStatus]) -> datetime | None:
    return max((each.since for each in hosts if each.since is not None), default=None)


def _row(
    key: str, subject: str, sentence: str, cure: str, *, is_error: bool = False, since: datetime | None = None
) -> AttentionRow:
    return AttentionRow(
        f"rollout-{key}", subject, ROLLOUT_PATH, printable(sentence), printable(cure), is_error, since,
        "Show the rollout", ROLLOUT_PATH,
    )  # fmt: skip
