"""The form that approves machines: what an operator fills in, and what would be written. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from netboot.admin.pages.machines.machines_view import MachineRow
from netboot.errors import ConfigError, HostFileError, NetbootError
from netboot.model.host.host import Role
from netboot.model.words import printable
from netboot.operate.registration.approval import ApprovalRequest
from netboot.operate.registration.host_changes import HostsChanged
from netboot.yamlfile.typed_values import typed_value

ROLES: Final = tuple(role.value for role in Role)
MOST_MACHINES: Final = 500  # at once


@dataclass(frozen=True, slots=True)
class ApprovalForm:
    """What was filled in, as it was typed."""

    macs: tuple[str, ...]
    role: str = ""
    name: str = ""
    pool: str = ""
    addresses: str = ""  # one for each machine
    disk: str = ""
    groups: str = ""
    boot_card_only: bool = False

    @classmethod
    def of(cls, texts: Callable[[str], Sequence[str]]) -> "ApprovalForm":
        """Read the fields of a form; `texts` returns the values of one."""

        def text(name: str) -> str:
            return next(iter(texts(name)), "").strip()

        return cls(
            tuple(dict.fromkeys(texts("mac"))),
            text("role"),
            text("name"),
            text("pool"),
            text("addresses"),
            text("disk"),
            text("groups"),
            text("boot_card_only") == "1",
        )

    def request(self, *, dry_run: bool) -> ApprovalRequest:
        """Return what is requested; raise HostFileError for a field that cannot be read, ConfigError for the disk."""
        if not self.macs:
            raise HostFileError("no machine is selected; select machines in the list")
        if self.role not in ROLES:
            raise HostFileError(f"role is one of {', '.join(ROLES)}")
        return ApprovalRequest(
            self.macs,
            self.role,
            self.name,
            addresses=_words(self.addresses),
            pool=self.pool or None,
            groups=_words(self.groups),
            disk=typed_value("disk", self.disk),
            boot_card_only=self.boot_card_only,
            dry_run=dry_run,
        )


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What would be written for one machine. `notes`: what an operator needs to read before."""

    host: str
    macs: str
    notes: tuple[str, ...]
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """What the page shows. `faults`: why the last request was refused; `preview`: None if none was requested."""

    form: ApprovalForm
    machines: tuple[MachineRow, ...]
    pools: tuple[str, ...]
    preview: tuple[PreviewRow, ...] | None = None
    faults: tuple[str, ...] = ()
    roles: tuple[str, ...] = ROLES

    @property
    def suggested_name(self) -> str:
        """The pattern of names without one of the operator."""
        return f"{self.form.role or 'ROLE'}-{{n}}"


def preview_rows(changed: HostsChanged) -> tuple[PreviewRow, ...]:
    """Show what a dry run found."""
    return tuple(
        PreviewRow(
            each.host,
            ", ".join(map(str, each.macs or (each.machine.mac,))),
            tuple(map(printable, each.notes)),
            str(change.file),
            printable("\n".join(line for line in (change.text or "").splitlines() if not line.startswith("#"))),
        )
        for each, change in zip(changed.machines, changed.hosts, strict=True)
    )


def faults_of(error: NetbootError) -> tuple[str, ...]:
    """List why a request was refused."""
    problems: Iterable[object] = error.problems if isinstance(error, ConfigError) else str(error).splitlines()
    return tuple(printable(str(each)) for each in problems)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())
