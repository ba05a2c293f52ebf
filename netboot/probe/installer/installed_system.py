"""What an install leaves behind: the system that boots from the disk then."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from netboot.model.install.event import Step
from netboot.probe.installer.release.pull import PulledRelease


@dataclass(frozen=True, slots=True)
class InstalledSystem:
    """A simulated installed system. `ended_at` is the last step; the others are empty if it came before them."""

    ended_at: Step
    release: PulledRelease | None = None
    kernel_arguments: tuple[str, ...] = field(default=(), repr=False)  # one of them has a token
    embedded_ignition: bytes | None = field(default=None, repr=False)  # the file user.ign of the archive in /boot
    notes: Sequence[str] = ()

    @property
    def ignition_url(self) -> str | None:
        """Return the URL of the first boot's Ignition, which has a token; the last argument counts."""
        urls = [each.partition("=")[2] for each in self.kernel_arguments if each.startswith("ignition.config.url=")]
        return urls[-1] if urls else None
