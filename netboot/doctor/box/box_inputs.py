"""What the checks of the box examine: the settings, the interfaces of this computer, and its files and programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv4Interface

from netboot.doctor.box.box_facts import BoxFacts
from netboot.doctor.configuration.listening_checks import Links
from netboot.model.clock import utc_now
from netboot.model.host.network import choose_address
from netboot.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class BoxInputs:
    """`daemon_runs`: a daemon of this configuration holds the ports; `time_servers` are those that hosts use."""

    settings: Settings
    links: Links
    facts: BoxFacts = field(default_factory=BoxFacts)
    daemon_runs: bool = False
    daemon_process: int | None = None
    now: datetime = field(default_factory=utc_now)
    time_servers: tuple[IPv4Address, ...] = ()

    def served(self) -> Mapping[str, IPv4Interface]:
        """Return the address from which machines are answered on each interface of the settings that has one."""
        found: dict[str, IPv4Interface] = {}
        for wanted in self.settings.network.interfaces:
            link = self.links.get(wanted.name)
            if link is not None and link.addresses:
                chosen = choose_address(link.addresses, wanted.address)
                has_it = [each.address for each in link.addresses if each.address.ip == chosen]
                if has_it:
                    found[wanted.name] = has_it[0]
        return found
