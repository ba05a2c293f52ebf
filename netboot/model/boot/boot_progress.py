"""How far the transfer that a boot waits for is: bytes, percent, rate and time left. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from netboot.model.install.event import Step


@dataclass(frozen=True, slots=True)
class BootProgress:
    """The progress of one file, or of the pull of a release. The rate is the average since it began."""

    step: Step
    name: str
    bytes: int
    size_bytes: int | None  # None: not known before the end
    percent: int
    bytes_per_s: float | None
    seconds_left: float | None  # None: nothing came yet

    @classmethod
    def of(
        cls,
        step: Step,
        name: str,
        share: float,
        *,
        sent: int,
        size_bytes: int | None,
        seconds: float,
        before: tuple[float, int] = (0.0, 0),
    ) -> Self:
        """Return the progress of a transfer of which `share` and `sent` bytes came; those not `before` in `seconds`."""
        share_before, bytes_before = before
        gained, came = share - share_before, sent - bytes_before
        rate = round(came / seconds, 1) if seconds > 0 and came > 0 else None
        left_s = round((1.0 - share) / gained * seconds, 1) if rate is not None and gained > 0 else None
        return cls(step, name, sent, size_bytes, int(share * 100), rate, left_s)


@dataclass(frozen=True, slots=True)
class RunningTransfer:
    """A file that is sent to a machine now; `sent` returns how many bytes were. Times are on the monotonic clock."""

    step: Step
    name: str
    size_bytes: int
    began_s: float
    sent: Callable[[], int]

    def progress(self, now_s: float) -> BootProgress:
        """Return how far it is."""
        sent = self.sent()
        share = min(1.0, sent / self.size_bytes) if self.size_bytes else 1.0
        return BootProgress.of(
            self.step, self.name, share, sent=sent, size_bytes=self.size_bytes, seconds=now_s - self.began_s
        )
