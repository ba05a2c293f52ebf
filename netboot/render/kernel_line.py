"""The kernel arguments of the installer and of the installed system, one record for every document. Pure."""

from typing import Final

from netboot.errors import RenderError
from netboot.model import urls
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.urls import HERE, ContentPlace

# Linux on x86-64 and arm64, with its terminating NUL; the rest is ignored without a message.
COMMAND_LINE_SIZE: Final = 2048


def installer(
    host: Host, *, mac: Mac, base_url: str, kickstart_token: str, place: ContentPlace = HERE
) -> tuple[str, ...]:
    """List the arguments of Anaconda's kernel (EL8 to EL10) without `initrd=`, which the loader adds.

    No interface is named: BOOTIF gives dracut the MAC of the card that booted, whatever its name is.
    Raises RenderError for a host without boot_media, and for a line that the kernel would truncate.
    """
    if host.boot_media is None:
        raise RenderError(
            f"cannot render the installer's kernel line for {host.name}: it has no boot medium; "
            f"set hosts.{host.name}.boot_media"
        )
    return _fitting(
        host,
        (
            f"inst.stage2={urls.medium(place.url_for(base_url), host.boot_media)}",
            f"inst.ks={urls.kickstart(base_url, kickstart_token)}",
            "inst.ks.sendmac",
            "inst.ks.sendsn",
            "inst.text",
            *_address(host, interface=""),
            *_booted_from(mac),
            "rd.neednet=1",
            *host.kernel_arguments,
        ),
    )


def installed(host: Host, *, mac: Mac, base_url: str, ignition_token: str) -> tuple[str, ...]:
    """List the arguments of the installed system: its network, so that its first boot can fetch its Ignition.

    The registry's interface is named; without one, BOOTIF prevents dracut from trying every card of the machine.
    Raises RenderError for a line that the kernel would truncate.
    """
    interface = host.network.interface or "" if host.network else ""
    return _fitting(
        host,
        (
            "rw",
            *_address(host, interface=interface),
            *(() if interface else _booted_from(mac)),
            "rd.neednet=1",
            "ignition.platform.id=metal",
            "ignition.firstboot=1",
            f"ignition.config.url={urls.ignition(base_url, ignition_token)}",
            *host.kernel_arguments,
        ),
    )


def _booted_from(mac: Mac) -> tuple[str, ...]:
    """Name the card that booted; none over InfiniBand, because dracut would wait for an interface with that address."""
    return () if mac.is_infiniband else (f"BOOTIF=01-{mac.hyphenated}",)


def _address(host: Host, *, interface: str) -> tuple[str, ...]:
    """Return dracut's `ip=` (dracut.cmdline(7)): client, no peer, gateway, netmask, host name, interface, method."""
    network = host.network
    if network is None:
        return ("ip=dhcp",)
    address, gateway = network.address, network.gateway or ""
    static = f"ip={address.ip}::{gateway}:{address.netmask}:{host.system_name}:{interface}:none"
    return (static, *(f"nameserver={nameserver}" for nameserver in network.nameservers))


def _fitting(host: Host, arguments: tuple[str, ...]) -> tuple[str, ...]:
    length = len(" ".join(arguments))
    if length >= COMMAND_LINE_SIZE:
        raise RenderError(
            f"cannot render the kernel line for {host.name}: {length} characters, the kernel takes "
            f"{COMMAND_LINE_SIZE - 1}; shorten hosts.{host.name}.kernel_arguments"
        )
    return arguments
