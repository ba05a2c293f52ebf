"""Selects declared hosts by role and labels. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from netboot.errors import UnknownHostError
from netboot.model.host.host import Host, HostName


@dataclass(frozen=True, slots=True)
class HostSelection:
    """The hosts with this role and with all of these labels; without both, every host."""

    role: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_all(self) -> bool:
        return self.role is None and not self.labels

    def of(self, hosts: Iterable[Host]) -> list[Host]:
        return [
            host
            for host in hosts
            if self.role in (None, host.role) and self.labels.items() <= dict(host.labels).items()
        ]

    def names(self, hosts: Iterable[Host]) -> list[HostName]:
        """Return the names of the selected hosts; raise UnknownHostError if there is none.

        Without role and label nothing is selected: an empty request must not change every host.
        """
        if self.is_all:
            raise UnknownHostError("no host is named; name hosts, or select them by role or label")
        found = [host.name for host in self.of(hosts)]
        if not found:
            raise UnknownHostError(f"no host has {self}; netboot host list shows the hosts")
        return found

    def __str__(self) -> str:
        role = [f"role {self.role}"] if self.role else []
        return " and ".join([*role, *(f"label {key}={text}" for key, text in self.labels.items())])


EVERY_HOST = HostSelection()
