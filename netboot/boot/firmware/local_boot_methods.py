"""Lists the methods by which a firmware can be led to its own disk, in the order in which they are tried. Pure.

Their sources: docs/firmware.md, "How a machine is led to its own disk".
"""

from typing import Final

from netboot.boot.firmware.reply_variants import choices_for
from netboot.model.boot.boot_client import BootClient, BootProtocol, Cpu, Stage
from netboot.model.boot.loader_names import LoaderKind, loader_kind
from netboot.model.boot.offer import IgnoreReason, Policy
from netboot.model.host.firmware import LocalBootMethod as M
from netboot.model.host.host import Host

_IPXE: Final = (M.EXIT, M.SANBOOT)
_IPXE_ON_BIOS: Final = (M.SANBOOT, M.EXIT)  # some BIOSes hang after `exit`
_GRUB: Final = (M.GRUB, M.EXIT)  # after `exit 1` of upstream's GRUB, EDK2 opens its setup and stays there


def local_boot_methods(client: BootClient, host: Host | None, policy: Policy) -> tuple[M, ...]:
    """List the methods that may be used for a client: the one that its host fixes, if it fits; else all that fit."""
    fitting = _fitting(client, host, policy)
    if host is not None and host.local_boot in fitting:
        return (host.local_boot,)
    return fitting


def misfit(client: BootClient, host: Host, policy: Policy) -> str | None:
    """Return that the method which a host fixes does not fit this firmware, with the cure; None if it does."""
    methods = local_boot_methods(client, host, policy)
    if host.local_boot is None or host.local_boot in methods:
        return None
    cure = f"choose one of {', '.join(methods)}"
    if host.local_boot is M.GRUB:
        cure += ", or set its loader to shim or GRUB"
    return f"hosts.{host.name}.local_boot: {host.local_boot} does not fit {client.firmware}, so it is not used; {cure}"


def _fitting(client: BootClient, host: Host | None, policy: Policy) -> tuple[M, ...]:
    """List the methods that fit a firmware: iPXE requests its script; BIOS firmware needs a loader for it."""
    is_bios = client.cpu is Cpu.X86_BIOS
    without_script = (M.NO_FILE, M.NO_OFFER) if is_bios and client.protocol is BootProtocol.PXE else (M.NO_OFFER,)
    if client.stage is Stage.IPXE:
        return (*(_IPXE_ON_BIOS if is_bios else _IPXE), *without_script)
    choices = choices_for(client, host, policy)
    loads_grub = not isinstance(choices, IgnoreReason) and loader_kind(choices.loaders[0]) is LoaderKind.GRUB
    by_script = _GRUB if loads_grub else _IPXE_ON_BIOS if is_bios else _IPXE
    if client.is_etherboot or M.NO_FILE in without_script:
        return (*by_script, *without_script)
    first = M.HTTP_404 if client.protocol is BootProtocol.HTTP else M.NO_FILE
    return (first, *(() if isinstance(choices, IgnoreReason) else by_script), M.NO_OFFER)
