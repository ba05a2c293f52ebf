"""The deviations that `--behave` names, each with what it does."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from netboot.model.install.event import Step
from netboot.probe.machine import Behaviour

_TRANSFERS: Final = (Step.LOADER, Step.KERNEL, Step.INITRD, Step.STAGE2)


@dataclass(frozen=True, slots=True)
class NamedBehaviour:
    """One deviation: its name, what the machine does, and the field of `Behaviour` that has it."""

    name: str
    title: str
    field: str
    value: Any = True


BEHAVIOURS: Final = (
    *(
        NamedBehaviour(f"off-during-{step}", f"is switched off while it loads the {step}", "aborts_at", step)
        for step in _TRANSFERS
    ),
    NamedBehaviour(
        "repeats-transfers", "reads each file by TFTP twice, as a firmware that lost the first", "retries", 1
    ),
    NamedBehaviour("duplicates", "sends each datagram twice", "duplicates"),
    NamedBehaviour("reorders", "acknowledges and receives TFTP packets in wrong order", "reorders"),
)
_BY_NAME: Final = {each.name: each for each in BEHAVIOURS}


def behaviour_of(names: Iterable[str], *, bytes_per_s: float | None = None, haste: float = 1.0) -> Behaviour:
    """Return how a machine behaves with all of the named deviations; of two for one field, the last counts."""
    chosen = [_BY_NAME[name] for name in names]
    fields = {each.field: each.value for each in chosen}
    return Behaviour(haste=haste, bytes_per_s=bytes_per_s, **fields)
