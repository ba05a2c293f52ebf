"""Checks the BMCs of hosts against each other: a machine of two hosts, and values without a BMC."""

from collections.abc import Mapping

from netboot.model.host.host import HostName
from netboot.registry.host_sections import HostSection
from netboot.registry.merge import Merged
from netboot.yamlfile.faults import Faults


def check_bmcs(hosts: Mapping[HostName, Merged[HostSection]], faults: Faults) -> None:
    """Refuse two hosts that are one machine of one BMC: an action on one would switch off the other."""
    owners: dict[tuple[str, str | None], HostName] = {}
    alone: dict[str, HostName] = {}  # hosts whose BMC has one machine
    for name, host in hosts.items():
        bmc = host.values.bmc
        if bmc.url is None:
            _check_unused(host, faults)
            continue
        system = bmc.system and bmc.system.rstrip("/").rpartition("/")[2]  # a path ends with the id
        owner = owners.setdefault((bmc.url, system), name)
        if bmc.system is None:
            alone.setdefault(bmc.url, name)
        if owner != name:
            _refuse(host, bmc.url, owner, faults)
    for (url, system), name in owners.items():
        if system is not None and url in alone:
            _refuse(hosts[name], url, alone[url], faults)


def _refuse(host: Merged[HostSection], url: str, owner: HostName, faults: Faults) -> None:
    origin = host.origins("bmc", "url")[0]
    cure = "give each host its own BMC, or hosts of one BMC each their own bmc.system"
    faults.add(origin.place, origin.where, what=f"{url} is the BMC of {owner} already", cure=cure)


def _check_unused(host: Merged[HostSection], faults: Faults) -> None:
    """Refuse values that the host itself has without a BMC; inherited ones wait for one."""
    own = host.layers[0]
    for key in type(host.values.bmc).key_names():
        origin = own.origin("bmc", key)
        if origin is not None:
            cure = f"add bmc.url, or remove bmc.{key}"
            faults.add(origin.place, origin.where, what="is not used without bmc.url", cure=cure)
            return
