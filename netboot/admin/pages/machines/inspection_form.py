"""The form that requests inspections of machines."""

from dataclasses import dataclass

from netboot.admin.pages.machines.machines_view import MachineRow


@dataclass(frozen=True, slots=True)
class InspectionFormView:
    """What the page shows. `reasons`: why no machine can be inspected; `done` and `faults`: of the last request."""

    machines: tuple[MachineRow, ...]
    medium: str
    reasons: tuple[str, ...]
    done: tuple[str, ...]
    faults: tuple[str, ...]
