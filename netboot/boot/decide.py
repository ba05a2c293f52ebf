"""The decision: what one machine is offered now. Pure; the only place that decides.

DHCP on 67 and 4011, TFTP and HTTP all come here, so no door can lead a machine where another would not.
Every branch has a row in tests/boot/test_decide.py.
"""

from typing import assert_never

from netboot.model.client import BootClient, BootProtocol, Cpu, Stage
from netboot.model.host import Host
from netboot.model.install import Install
from netboot.model.mac import Mac
from netboot.model.offer import (
    Ignored,
    IgnoreReason,
    LocalBootPlan,
    Offer,
    OfferKind,
    Policy,
    UnknownHosts,
    WaitPlan,
    WaitReason,
)


def decide(client: BootClient, host: Host | None, install: Install | None, policy: Policy) -> Offer | Ignored:
    """Say what this machine is offered. `host` and `install` are None together: nobody registered it."""
    if host is None or install is None:
        match policy.unknown:
            case UnknownHosts.IGNORE:
                return Ignored(IgnoreReason.UNKNOWN_HOST)
            case UnknownHosts.WAIT:
                return _lead_to_script(client, policy)
            case _:
                assert_never(policy.unknown)
    if install.is_armed:
        return _lead_to_script(client, policy)
    return _lead_to_disk(client, policy)


def _lead_to_script(client: BootClient, policy: Policy) -> Offer | Ignored:
    if client.stage is Stage.IPXE:
        return Offer(OfferKind.SCRIPT, client.mac)
    loader = policy.loader_for(client)
    if loader is None:
        return Ignored(IgnoreReason.NO_LOADER_FOR_ARCH)
    return Offer(OfferKind.LOADER, client.mac, loader)


def _lead_to_disk(client: BootClient, policy: Policy) -> Offer | Ignored:
    if client.stage is Stage.IPXE:
        return Offer(OfferKind.SCRIPT, client.mac)  # a script that leaves
    if client.protocol is BootProtocol.PXE and client.cpu is Cpu.X86_BIOS:
        # A BIOS ROM has no answer that all of them take as "go to the disk"; iPXE's `sanboot` goes there.
        return _lead_to_script(client, policy)
    return Offer(OfferKind.LOCAL_DISK, client.mac)


def script_without_install(
    mac: Mac, host: Host | None, install: Install | None, policy: Policy
) -> WaitPlan | LocalBootPlan | None:
    """Say what a machine's script does where it must not install; None where an armed host may.

    `install` is what the store said at this moment, None where the store did not answer.
    """
    if host is None:
        if policy.unknown is UnknownHosts.WAIT:
            return WaitPlan(mac, WaitReason.UNKNOWN_HOST)
        return LocalBootPlan(mac, None)
    if install is None:
        return WaitPlan(mac, WaitReason.STORE_UNREACHABLE, host)
    if not install.is_armed:
        return LocalBootPlan(mac, host)
    return None
