"""The state of each part of a running daemon, and what it means for a load balancer or a supervisor. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class PartState(StrEnum):
    """From the best to the worst."""

    OK = "ok"
    DEGRADED = "degraded"  # machines are served, but not all of them as declared
    FAILED = "failed"  # machines that need this part are not served


@dataclass(frozen=True, slots=True)
class HealthPart:
    """One part: the store, an interface, a listener. `name` distinguishes parts of one kind."""

    part: str
    name: str = ""
    state: PartState = PartState.OK
    reasons: Sequence[str] = ()

    @classmethod
    def of(
        cls, part: str, *reasons: str | None, name: str = "", at_worst: PartState = PartState.FAILED
    ) -> "HealthPart":
        """Make a part that is `at_worst` if there is any reason."""
        found = tuple(reason for reason in reasons if reason is not None)
        return cls(part, name, at_worst if found else PartState.OK, found)


@dataclass(frozen=True, slots=True)
class Health:
    """All parts at one moment.

    A kind of part has failed if all its parts have: one interface of two still serves. A part without a name is the
    whole of its kind, beside named parts of it: the content directory, and a damaged release in it.
    """

    parts: Sequence[HealthPart]

    def by_kind(self) -> Mapping[str, PartState]:
        """Return the state of each kind of part."""
        states: dict[str, set[PartState]] = {}
        for each in self.parts:
            states.setdefault(each.part, set()).add(each.state)
        failed = {each.part for each in self.parts if not each.name and each.state is PartState.FAILED}
        return {
            kind: PartState.FAILED if kind in failed else found.pop() if len(found) == 1 else PartState.DEGRADED
            for kind, found in states.items()
        }

    @property
    def status(self) -> PartState:
        """Return the worst state of a kind."""
        return max(self.by_kind().values(), key=tuple(PartState).index, default=PartState.OK)

    @property
    def can_serve(self) -> bool:
        """Machines are served: no kind of part has failed."""
        return self.status is not PartState.FAILED

    @property
    def serves_as_declared(self) -> bool:
        """Machines are served as the files declare: every part is ok."""
        return self.status is PartState.OK
