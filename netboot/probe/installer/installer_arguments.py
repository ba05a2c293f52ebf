"""What dracut and Anaconda read of the kernel's arguments (anaconda dracut/parse-anaconda-*.sh, ocne.md §4.3). Pure."""

from dataclasses import dataclass
from typing import Final

from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError

_LONGEST: Final = 2047  # COMMAND_LINE_SIZE of x86-64 and arm64 without its NUL: the kernel cuts off the rest
_WITHOUT_PREFIX: Final = ("ks", "stage2", "repo", "method", "syslog")


@dataclass(frozen=True, slots=True)
class KernelLine:
    """The arguments of one kernel."""

    arguments: tuple[str, ...]

    def last(self, name: str) -> str | None:
        """Return the value of the last argument `name=VALUE`, as dracut's getarg does."""
        values = [each.partition("=")[2] for each in self.arguments if each.partition("=")[0] == name]
        return values[-1] if values else None

    def has(self, name: str) -> bool:
        """Return whether a flag is set, as dracut's getargbool reads it."""
        values = [each.partition("=")[2] for each in self.arguments if each.partition("=")[0] == name]
        return bool(values) and values[-1].lower() not in ("0", "no", "off")

    @property
    def kickstart_url(self) -> str | None:
        return self.last("inst.ks")

    @property
    def stage2_url(self) -> str | None:
        """Return the directory of stage 2: without inst.stage2 it is that of the packages."""
        return self.last("inst.stage2") or self.last("inst.repo")


def read_installer_line(text: str, mac: Mac) -> KernelLine:
    """Read the arguments of Anaconda's kernel; raise BootFailedError for those with which it does not start."""
    line, length = KernelLine(tuple(text.split())), len(text)
    if length > _LONGEST:
        raise _failure(
            f"the kernel line has {length} characters, and the kernel reads {_LONGEST}: it ignores the rest",
            "shorten the host's kernel_arguments",
        )
    for name in _WITHOUT_PREFIX:
        if line.last(name) is not None:
            raise _failure(f"EL9's and EL10's Anaconda ignore {name}= without inst.", f"write inst.{name}=")
    if line.stage2_url is None:
        raise _failure(
            "dracut stops in its emergency shell: the kernel line has neither inst.stage2 nor inst.repo",
            "correct the template of the script",
        )
    card = line.last("BOOTIF")
    if card is not None and not mac.is_infiniband and card.lower() != f"01-{mac.hyphenated}":
        raise _failure(
            f"dracut waits for a card with the address of BOOTIF={card}, and this machine booted from {mac}",
            "look which host's script this machine was given: netboot install show",
        )
    return line


def _failure(sentence: str, cure: str) -> BootFailedError:
    return BootFailedError(Step.KICKSTART, sentence, cure=cure)
