"""Loss, delay and rate of a simulated machine's link, from a seeded random source, so that a run can be repeated."""

from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a link does to each datagram, in both directions. `loss` is a fraction; `bytes_per_s` None is no limit."""

    loss: float = 0.0
    delay_s: float = 0.0
    bytes_per_s: float | None = None


NO_IMPAIRMENT = Impairment()


@dataclass(slots=True)
class ImpairedLink:
    """Decides for each datagram whether and when it arrives."""

    impairment: Impairment = NO_IMPAIRMENT
    random: Random = field(default_factory=Random)

    def transit_s(self, size_bytes: int) -> float | None:
        """Return how long a datagram is under way, in seconds; None if it is lost."""
        if self.impairment.loss and self.random.random() < self.impairment.loss:
            return None
        rate = self.impairment.bytes_per_s
        return self.impairment.delay_s + (size_bytes / rate if rate else 0.0)
