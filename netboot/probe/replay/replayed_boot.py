"""Plays a recorded boot against a live server: each message and request in its order, each answer compared.

A script of a registered host can spend a boot of an arming, and a URL with a token belongs to one boot: both are left
out unless they are permitted, and the outcome names them.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from netboot.model.install.event import Step
from netboot.model.urls import base_url, is_of_one_boot, tokens_in, without_tokens_in_paths
from netboot.model.words import printable_line
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.http.agents import HttpAgent
from netboot.probe.http.http_client import HttpAnswer, HttpClient
from netboot.probe.loaded_file import FileRecorder
from netboot.probe.machine import SimulatedMachine
from netboot.probe.machine_boot import ALL_PERMITTED, Permissions, machines_named
from netboot.probe.replay.differences import ReplayDifference, Substitutions, http_differences, option_differences
from netboot.probe.replay.recorded_boot import DhcpRequest, HttpRequest, RecordedBoot, TftpRequest
from netboot.probe.replay.replayed_dhcp import ReplayedDhcp
from netboot.probe.tftp.file_receiver import FileReceiver, TransferEnding
from netboot.probe.tftp.tftp_client import TFTP_PORT
from netboot.probe.tftp.tftp_rules import FailureText, ProbeEnd, TftpRules
from netboot.probe.tftp.transfer_socket import Line, UnreachableError, transfer

_STEPS: Final = {
    "boot": Step.LOADER,
    "bootfiles": Step.LOADER,
    "ks": Step.KICKSTART,
    "inspect": Step.KICKSTART,
    "ostree": Step.OSTREE,
    "ign": Step.IGNITION,
    "report": Step.INSTALLING,
}
_STEPS_OF_NAMES: Final = {"vmlinuz": Step.KERNEL, "initrd.img": Step.INITRD, "checks": Step.CHECKS, "ready": Step.READY}
_TRANSFER_S: Final = 120.0
_WAITS_S: Final = (2.0, 4.0, 4.0)
_TEXTS: Final = FailureText(*["the transfer failed"] * 6)
_OF_THE_BODY: Final = frozenset({"content-length", "content-type"})


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What differed, what was left out and why, how many requests were compared, and what ended the replay early."""

    differences: tuple[ReplayDifference, ...]
    left_out: tuple[str, ...]
    compared: int
    failure: BootFailedError | None = None


@dataclass(slots=True)
class Replay:
    """One replay. `play` runs it once."""

    machine: SimulatedMachine
    recorded: RecordedBoot
    permissions: Permissions
    spends: bool = False
    differences: list[ReplayDifference] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    compared: int = 0
    _tokens: dict[str, str] = field(default_factory=dict)  # of the live boot, by the area of their URL
    _clients: dict[HttpAgent, HttpClient] = field(default_factory=dict)
    _dhcp: ReplayedDhcp = field(init=False)

    def __post_init__(self) -> None:
        self.permissions = ALL_PERMITTED if self.spends else self.permissions
        self._dhcp = ReplayedDhcp(self.machine, self.recorded)

    async def play(self) -> ReplayOutcome:
        """Play every recorded request; a server that does not reply at all ends it."""
        failure = None
        try:
            for request in self.recorded.requests:
                match request:
                    case DhcpRequest():
                        self.differences += await self._dhcp.play(request)
                        self.compared += 1
                    case TftpRequest():
                        await self._play_tftp(request)
                    case HttpRequest():
                        await self._play_http(request)
        except BootFailedError as error:
            failure = error
        finally:
            for client in self._clients.values():
                client.close()
        return ReplayOutcome(tuple(self.differences), tuple(self.left_out), self.compared, failure)

    @property
    def _here(self) -> Substitutions:
        return self._dhcp.substitutions

    async def _play_tftp(self, request: TftpRequest) -> None:
        name = self._here.text(request.name)
        what = f"the request for {printable_line(name)} by TFTP"
        if request.server != self.recorded.appliance:
            self.left_out.append(f"{what}: it was of another server, {request.server}")
            return
        if not await self._is_permitted(name, what):
            return
        options = {key.lower() for key, _ in request.options}
        is_probe = request.is_aborted and "tsize" in options
        ends = ProbeEnd.ERROR_8 if is_probe else ProbeEnd.NO_PROBE
        recorder = FileRecorder()
        rules = TftpRules("the recorded client", request.options, _WAITS_S, _TEXTS, ends_with=ends)
        receiver = FileReceiver(rules, name, recorder.write)
        server = self._here.address(request.server)
        line = Line((str(server), TFTP_PORT), str(self.machine.address or "0.0.0.0"), self.machine.behaviour, _at_once)
        began_s = self.machine.timeline.now_s
        try:
            outcome = await transfer(receiver, line, timeout_s=_TRANSFER_S)
        except UnreachableError as error:
            raise BootFailedError(
                Step.LOADER, f"{server} refuses TFTP: {error}", cure="verify that the appliance serves TFTP here"
            ) from None
        self.machine.timeline.add(Step.LOADER, what, size_bytes=recorder.size_bytes, since_s=began_s)
        self.compared += 1
        self._learn_tokens(bytes(recorder.content))
        self._compare_tftp(request, receiver, error=outcome.error_code, ending=outcome.ending, what=what)

    def _compare_tftp(
        self, request: TftpRequest, receiver: FileReceiver, *, error: int | None, ending: TransferEnding, what: str
    ) -> None:
        was = _tftp_answer(request.is_answered, request.error)
        now = _tftp_answer(ending is not TransferEnding.NO_REPLY, error)
        if was != now:
            self.differences.append(ReplayDifference(Step.LOADER, what, was, now))
        elif request.oack is not None and error is None:
            accepted = {key: str(value) for key, value in receiver.accepted.items()}
            self.differences += option_differences(request.oack, accepted, what)

    async def _play_http(self, request: HttpRequest) -> None:
        step = step_of(request.target)
        what = f"{request.method} {printable_line(without_tokens_in_paths(request.target))}"
        if request.server[0] != self.recorded.appliance:
            self.left_out.append(f"{what}: it was to another server, {request.server[0]}")
            return
        target = self._with_tokens(self._here.text(request.target))
        if target is None:
            reason = "no document of this boot has such a token" if self.spends else "it has a token; see --spend"
            self.left_out.append(f"{what}: {reason}")
            return
        if request.lacks_body:
            self.left_out.append(f"{what}: its body was not recorded")
            return
        if not await self._is_permitted(target, what):
            return
        port = self._dhcp.http_port or request.server[1]
        url = base_url(self._here.address(request.server[0]), port) + target
        began_s = self.machine.timeline.now_s
        answer = await self._answer(request, url, step)
        self.machine.timeline.add(
            step, f"{what}: status {answer.status}", size_bytes=answer.size_bytes, since_s=began_s
        )
        self.compared += 1
        self._learn_tokens(answer.body)
        if request.status is not None:
            recorded = request.status, request.answer
            self.differences += http_differences(recorded, (answer.status, answer.headers), what, step=step)

    async def _answer(self, request: HttpRequest, url: str, step: Step) -> HttpAnswer:
        fields = tuple((name, value) for name, value in request.fields if name.lower() not in _OF_THE_BODY)
        host = urlsplit(url).netloc
        named = tuple((name, host if name.lower() == "host" and ":" in value else self._here.text(value))
                      for name, value in fields)  # fmt: skip
        agent = HttpAgent("the recorded client", named, idle_s=60.0, keeps_connection=True)
        client = self._clients.setdefault(agent, HttpClient(self.machine, agent))
        kind = tuple(each for each in request.fields if each[0].lower() == "content-type")
        match request.method:
            case "POST":
                return await client.post(url, request.body, step=step, headers=kind, any_status=True)
            case "HEAD":
                return await client.head(url, step=step, any_status=True)
            case _:
                return await client.get(url, step=step, any_status=True)

    async def _is_permitted(self, name: str, what: str) -> bool:
        reason = await self.permissions.address(self.machine.address) if self.machine.address is not None else None
        if reason is None and is_of_one_boot(name) and not tokens_in(name):
            others = machines_named(f"/{unquote(name)}") - {self.machine.mac}
            if others and not self.spends:
                reason = f"it is the script of another machine, {min(others)}"
            else:
                reason = await self.permissions.script()
        if reason is not None:
            self.left_out.append(f"{what}: {reason}")
        return reason is None

    def _with_tokens(self, target: str) -> str | None:
        """Return a target with the token of the live boot; None if it has one that this boot has not."""
        for area, recorded in tokens_in(target):
            token = self._tokens.get(area) if self.spends else None
            return None if token is None else target.replace(recorded, token)
        return target

    def _learn_tokens(self, document: bytes) -> None:
        for area, token in tokens_in(document.decode("utf-8", "replace")):
            self._tokens.setdefault(area, token)


def step_of(target: str) -> Step:
    """Return the step of a boot to which a request by HTTP belongs."""
    parts = target.partition("?")[0].strip("/").split("/")
    step = _STEPS.get(parts[0], Step.STAGE2)
    if step is Step.LOADER and is_of_one_boot(target):
        return Step.SCRIPT
    return _STEPS_OF_NAMES.get(parts[-1], step)


def _tftp_answer(is_answered: bool, error: int | None) -> str:
    if error is not None:
        return f"ERROR {error}"
    return "the file" if is_answered else "no reply"


def _at_once(_size_bytes: int) -> float:
    return 0.0
