"""The kernel arguments of the installer and of the installed system, one record for every document. Pure."""

from ipaddress import IPv4Address, IPv4Interface
from typing import Final

from netboot.errors import RenderError
from netboot.model import urls
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.urls import HERE, ContentPlace

# Linux on x86-64 and arm64, with its terminating NUL; the rest is ignored without a message.
COMMAND_LINE_SIZE: Final = 2048
# A switch port forwards nothing for up to a minute after its link is up (spanning tree, LACP), and dracut gives up
# after 10 s without a carrier and after one DHCP request (dracut.cmdline(7)).
_LINK_RETRIES: Final = ("rd.net.timeout.carrier=60",)
_DHCP_RETRIES: Final = ("rd.net.dhcp.retry=5", "rd.net.timeout.dhcp=30")
_CARD: Final = "lan"  # the name of a card in the first boot, if it has to have one; not of the kernel's kind, as eth0


def installer(
    host: Host, *, mac: Mac, base_url: str, kickstart_token: str, place: ContentPlace = HERE, log_port: int = 0
) -> tuple[str, ...]:
    """List the arguments of Anaconda's kernel (EL8 to EL10) without `initrd=`, which the loader adds.

    No interface is named: BOOTIF gives dracut the MAC of the card that booted, whatever its name is.
    `log_port`: this server's port for logs, or 0.
    Raises RenderError for a host without boot_media, and for a line that the kernel would truncate.
    """
    if host.boot_media is None:
        raise RenderError(
            f"cannot render the installer's kernel line for {host.name}: it has no boot medium; "
            f"set hosts.{host.name}.boot_media"
        )
    kickstart = _by_kickstart(urls.kickstart(base_url, kickstart_token))
    return _anaconda(
        host,
        mac,
        medium=host.boot_media,
        work=kickstart,
        content_url=place.url_for(base_url),
        log_server=urls.log_server(base_url, log_port),
    )


def inspection(
    host: Host | None,
    mac: Mac,
    *,
    medium: str,
    base_url: str,
    token: str,
    place: ContentPlace = HERE,
    log_port: int = 0,
) -> tuple[str, ...]:
    """List the arguments of Anaconda's kernel for an inspection; `host` is None for an unregistered machine.

    Raises RenderError for a line that the kernel would truncate.
    """
    kickstart = _by_kickstart(urls.inspection(base_url, token))
    return _anaconda(
        host,
        mac,
        medium=medium,
        work=kickstart,
        content_url=place.url_for(base_url),
        log_server=urls.log_server(base_url, log_port),
    )


def rescue(
    host: Host, *, mac: Mac, medium: str, base_url: str, place: ContentPlace = HERE, log_port: int = 0
) -> tuple[str, ...]:
    """List the arguments of Anaconda's kernel for its rescue mode, which has no Kickstart and no token of ours.

    Raises RenderError for a line that the kernel would truncate.
    """
    return _anaconda(
        host,
        mac,
        medium=medium,
        work=("inst.rescue",),
        content_url=place.url_for(base_url),
        log_server=urls.log_server(base_url, log_port),
    )


def _by_kickstart(url: str) -> tuple[str, ...]:
    return (f"inst.ks={url}", "inst.ks.sendmac", "inst.ks.sendsn")


def _anaconda(
    host: Host | None, mac: Mac, *, medium: str, work: tuple[str, ...], content_url: str, log_server: str
) -> tuple[str, ...]:
    return _fitting(
        host,
        (
            f"inst.stage2={urls.medium(content_url, medium)}",
            *work,
            "inst.text",
            *([f"inst.syslog={log_server}"] if log_server else []),  # TCP: its rsyslog forwards all it has
            *(_address(host, host.network.boot_address, interface="") if host else ("ip=dhcp",)),
            *_booted_from(mac),
            "rd.neednet=1",
            *_retries(host, host.network.boot_address if host else None),
            *(host.kernel_arguments if host else ()),
        ),
    )


def installed(host: Host, *, mac: Mac, base_url: str, ignition_token: str | None) -> tuple[str, ...]:
    """List the arguments of the installed system: its network, so that its first boot can fetch its Ignition.

    `ignition_token` is None if the Ignition is embedded; it may still name files of other servers.
    The registry's interface is named; without one, BOOTIF prevents dracut from trying every card of the machine.
    Raises RenderError for a line that the kernel would truncate.
    """
    network = host.network
    return _fitting(
        host,
        (
            "rw",
            *_devices(host, mac),
            *_address(host, network.address, interface=network.device or ""),
            *(() if network.device else _booted_from(mac)),
            "rd.neednet=1",
            *_retries(host, network.address),
            "ignition.platform.id=metal",
            "ignition.firstboot=1",
            *((f"ignition.config.url={urls.ignition(base_url, ignition_token)}",) if ignition_token else ()),
            *host.kernel_arguments,
        ),
    )


def _booted_from(mac: Mac) -> tuple[str, ...]:
    """Name the card that booted; none over InfiniBand, because dracut would wait for an interface with that address."""
    return () if mac.is_infiniband else (f"BOOTIF=01-{mac.hyphenated}",)


def _devices(host: Host, mac: Mac) -> tuple[str, ...]:
    """Return the arguments that make bond and VLAN in dracut, which takes cards by name: `ifname=` names them."""
    network, arguments = host.network, list[str]()
    carrier = network.carrier or _CARD
    if network.bond is not None:
        ports = {f"{_CARD}{number}": each for number, each in enumerate(host.macs)}
        options = ",".join(f"{name}={value}" for name, value in network.bond.settings.items())
        arguments += [f"ifname={name}:{each}" for name, each in ports.items()]
        arguments.append(f"bond={carrier}:{','.join(ports)}:{options}")
    elif network.vlan is not None and network.interface is None:
        arguments.append(f"ifname={carrier}:{mac}")
    if network.vlan is not None:
        arguments.append(f"vlan={network.device}:{carrier}")
    return tuple(arguments)


def _address(host: Host, address: IPv4Interface | None, *, interface: str) -> tuple[str, ...]:
    """Return dracut's `ip=` (dracut.cmdline(7)): client, no peer, gateway, netmask, host name, interface, method, MTU.

    IPv4 only: the appliance is reached by it, and keyfiles configure the rest after the first boot.
    """
    network = host.network
    mtu = f":{network.mtu_bytes}" if interface and network.mtu_bytes else ""
    if address is None:
        return (f"ip={interface}:dhcp{mtu}" if interface else "ip=dhcp",)
    static = f"ip={address.ip}::{network.gateway or ''}:{address.netmask}:{host.system_name}:{interface}:none{mtu}"
    nameservers = (f"nameserver={each}" for each in network.nameservers if isinstance(each, IPv4Address))
    routes = (f"rd.route={route.to}:{route.via}" for route in network.routes if isinstance(route.via, IPv4Address))
    return (static, *nameservers, *routes)


def _retries(host: Host | None, address: IPv4Interface | None) -> tuple[str, ...]:
    """Return how long dracut waits for link and lease, without what the host's own arguments set."""
    own = {argument.partition("=")[0] for argument in (host.kernel_arguments if host else ())}
    ours = _LINK_RETRIES if address is not None else (*_LINK_RETRIES, *_DHCP_RETRIES)
    return tuple(argument for argument in ours if argument.partition("=")[0] not in own)


def _fitting(host: Host | None, arguments: tuple[str, ...]) -> tuple[str, ...]:
    length = len(" ".join(arguments))
    if host is not None and length >= COMMAND_LINE_SIZE:
        raise RenderError(
            f"cannot render the kernel line for {host.name}: {length} characters, the kernel takes "
            f"{COMMAND_LINE_SIZE - 1}; shorten hosts.{host.name}.kernel_arguments"
        )
    return arguments
