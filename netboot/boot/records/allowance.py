"""A limit of what is recorded of one machine, or of all of them, in a time. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Allowance:
    """A token bucket: `at_once` lines or packets, and `per_s` more with each second."""

    per_s: float
    at_once: float
    left: float
    _counted_s: float = 0.0

    def has_some(self, now_s: float) -> bool:
        """Return whether one more is within the limit; count none."""
        self.left = min(self.at_once, self.left + (now_s - self._counted_s) * self.per_s)
        self._counted_s = now_s
        return self.left >= 1

    def admit(self, now_s: float, *, reserved: float = 0) -> bool:
        """Count one; return whether it is within the limit, and leaves what is reserved for others."""
        if not self.has_some(now_s) or self.left < reserved + 1:
            return False
        self.left -= 1
        return True
