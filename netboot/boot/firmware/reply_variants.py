"""Lists the boot variants of a firmware, evaluates the end of a boot, and chooses the next variant. Pure.

A boot variant is a reply variant (with option 43; or without it: firmware goes to port 4011) and a loader. The order:

    at first                                           the first reply, the first loader
    a boot without our loader                       -> the next reply, the same loader
    a boot whose loader requested no script         -> the same reply, the next loader

Only whole boots count. A machine that requested no address counts only if it sent a whole cycle of DISCOVERs and no
request for a file. docs/firmware.md is the operator's view.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from netboot.content.bootfiles.directories import BootFile
from netboot.model.boot.boot_client import BootClient, BootProtocol, Cpu
from netboot.model.boot.boot_ending import Ending, cure_of
from netboot.model.boot.offer import IgnoreReason, Policy
from netboot.model.host.firmware import BootVariant, ReplyVariant
from netboot.model.host.host import Host
from netboot.model.words import printable_line

WHOLE_CYCLE: Final = 3  # DISCOVERs of one exchange with growing `secs`: firmware sends four, one may be lost
LEAST_S: Final = 10.0  # firmware does not give up earlier: a whole cycle takes 12 s to its third DISCOVER
_REPLIES: Final = tuple(ReplyVariant)


@dataclass(slots=True)
class BootTrace:
    """What the packets of one boot showed."""

    client: BootClient | None = None  # its firmware, as it was offered a loader
    variant: BootVariant | None = None  # None: it was offered none
    began_s: float = 0.0  # on the monotonic clock
    discovers: int = 0  # DISCOVERs of its firmware, each later than the one before by its own clock
    elapsed: int = -1
    last_discover_s: float = 0.0
    has_address: bool = False  # it sent a REQUEST in the exchange of its DISCOVER (RFC 2131 table 5)
    requested_loader: bool = False
    other_file: str = ""  # a file that it requested instead
    got_other_file: bool = False
    got_loader: bool = False
    lacks_http: bool = False  # its loader sent a DISCOVER as an iPXE without HTTP
    reached_script: bool = False
    is_jumbled: bool = False  # exchanges faster than any machine boots: nothing is learned from its end

    @property
    def is_whole_cycle(self) -> bool:
        """Return whether it sent requests as often and for as long as firmware does; `secs` alone can be forged."""
        return self.discovers >= WHOLE_CYCLE and self.last_discover_s - self.began_s >= LEAST_S

    def note_discover(self, elapsed: int, now_s: float) -> None:
        """Record a DISCOVER; a duplicate counts once."""
        if elapsed > self.elapsed:
            self.elapsed, self.last_discover_s = elapsed, now_s
            self.discovers += 1

    def note_file_request(self, name: str, file: BootFile | None) -> None:
        """Record a request for a file: ours, another that may run there, or another server's."""
        if self.variant is None or self.client is None or self.got_loader:
            return
        if file is not None and (file.name == self.variant.loader or (file.cpu or Cpu.X86_BIOS) is self.client.cpu):
            self.requested_loader, self.other_file = True, ""
        else:
            self.other_file = printable_line(name, longest=80)

    def note_file_sent(self, name: str) -> None:
        """Record a file that was sent completely."""
        is_unregistered = bool(self.other_file) and printable_line(name, longest=80) == self.other_file
        self.got_other_file = self.got_other_file or is_unregistered
        self.got_loader = self.got_loader or (self.requested_loader and not is_unregistered)


class Choices(NamedTuple):  # made three times as fast as a frozen dataclass
    """The variants that one machine's firmware may be offered, in order."""

    replies: tuple[ReplyVariant, ...]
    loaders: tuple[str, ...]

    @property
    def first(self) -> BootVariant:
        """The variant of every machine's first boot."""
        return BootVariant(self.replies[0], self.loaders[0])

    def fit(self, variant: BootVariant | None) -> BootVariant:
        """Return this variant if it is still among them; else the first."""
        if variant is None or variant.reply not in self.replies or variant.loader not in self.loaders:
            return self.first
        return variant


def choices_for(client: BootClient, host: Host | None, policy: Policy) -> Choices | IgnoreReason:
    """Return the variants of a firmware: those of the host's entry, else of the rules, else of its architecture."""
    replies = _REPLIES if client.protocol is BootProtocol.PXE else _REPLIES[:1]
    if host is not None and host.firmware is not None:
        replies = (host.firmware,)
    if client.cpu is None:
        loaders = policy.loaders_for(client)
        return Choices(replies, loaders) if loaders else IgnoreReason.UNKNOWN_ARCHITECTURE
    if host is not None and host.loader is not None and host.loader not in policy.unusable:
        if policy.cpu_of(host.loader) is not client.cpu:
            return IgnoreReason.LOADER_FOR_ANOTHER_CPU
        return Choices(replies, (host.loader,))
    loaders = policy.loaders_for(client)
    return Choices(replies, loaders) if loaders else IgnoreReason.NO_LOADER_FOR_ARCH


def ending(trace: BootTrace) -> Ending | None:
    """Return how a boot ended; None if it was not a whole boot, or was offered no loader."""
    if trace.variant is None:
        return None
    if trace.reached_script:
        return Ending.REACHED
    if trace.is_jumbled:
        return None
    requested_any = trace.requested_loader or bool(trace.other_file)
    if not trace.has_address:
        return Ending.NO_REQUEST if trace.is_whole_cycle and not requested_any else None
    if trace.got_loader:
        return Ending.NO_HTTP if trace.lacks_http else Ending.NO_SCRIPT
    if trace.other_file:
        return Ending.WRONG_LOADER
    return Ending.LOADER_CUT if trace.requested_loader else Ending.NO_LOADER


def next_variant(variant: BootVariant, reason: Ending, choices: Choices) -> BootVariant | None:
    """Return the next variant that differs in what failed; None if there is none."""
    match reason:
        case Ending.NO_REQUEST | Ending.NO_LOADER | Ending.WRONG_LOADER:
            replies = choices.replies[choices.replies.index(variant.reply) + 1 :]
            return replace(variant, reply=replies[0]) if replies else None
        case Ending.NO_SCRIPT | Ending.NO_HTTP:
            loaders = choices.loaders[choices.loaders.index(variant.loader) + 1 :]
            return replace(variant, loader=loaders[0]) if loaders else None
        case Ending.LOADER_CUT | Ending.REACHED:
            return None


def cure_for(reason: Ending, trace: BootTrace, *, is_pinned: bool) -> str:
    """Return the cure if no variant is left."""
    assert trace.variant is not None
    protocol = trace.client.protocol if trace.client else None
    cure = cure_of(reason, loader=trace.variant.loader, protocol=protocol, other_file=trace.other_file)
    return f"{cure}; its hosts entry fixes firmware or loader, so nothing else is tried" if is_pinned else cure
