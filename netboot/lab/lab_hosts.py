"""The machines of the lab and the configuration that the appliance gets for them.

A control-plane node with a static address that boots by UEFI's PXE, a worker with a leased one that boots by UEFI's
HTTP boot, and a BIOS machine that boots the installer only (OCK requires UEFI).
"""

import base64
import gzip
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Final
from urllib.parse import quote

from netboot.content.assets import assets_directory
from netboot.lab.lan.namespaces import APPLIANCE, BRIDGE, DHCP_SERVER, Lan
from netboot.lab.machines.qemu import CARD_NAME, DISK_PATH, Firmware, LabMachine
from netboot.lab.media.stand_ins import MEDIUM, RELEASE
from netboot.model.host.firmware import ReplyVariant, RomIpxe
from netboot.model.host.host import Role
from netboot.model.host.host_network import BOND_NAME
from netboot.model.install.ignition_way import IgnitionWay

HTTP_PORT: Final = 8080
POOL: Final = "lab"  # of addresses for approved machines
POOL_ADDRESSES: Final = IPv4Network("192.0.2.48/29")
_KEEPALIVED: Final = "/etc/keepalived/keepalived.conf"
IGNITION_LIMIT: Final = '"version":"3.3.0"'  # Debian's Ignition 2.14 reads nothing newer


@dataclass(frozen=True, slots=True)
class LabHost:
    machine: LabMachine
    role: Role
    address: IPv4Interface | None = None  # None: leased
    disk: str | Mapping[str, str] = DISK_PATH  # a path, or a rule
    loader: str | None = None  # fixed
    reply: ReplyVariant | None = None  # the fixed reply variant; None: learned
    bond: str | None = None  # the mode in which its cards are one
    replaces_rom: bool = False  # its iPXE ROM is offered the loader first
    network: Mapping[str, object] = field(default_factory=dict)  # further keys of its `network`
    more: Mapping[str, object] = field(default_factory=dict)  # further keys
    is_registered: bool = True  # False: the appliance inspects it, and an operator approves it


CP1: Final = LabHost(
    LabMachine("cp1", "52:54:00:aa:bb:01", Firmware.OVMF_PXE), Role.CONTROL_PLANE, IPv4Interface("192.0.2.21/24")
)
W1: Final = LabHost(LabMachine("w1", "52:54:00:aa:bb:02", Firmware.OVMF_HTTP), Role.WORKER)
BIOS1: Final = LabHost(LabMachine("bios1", "52:54:00:aa:bb:03", Firmware.SEABIOS_IPXE, disks=()), Role.WORKER)
LAB_HOSTS: Final = (CP1, W1, BIOS1)


@dataclass(frozen=True, slots=True)
class AppliancePaths:
    directory: Path  # its /etc/netboot and /var/lib/netboot in one
    content: Path
    socket: Path

    @property
    def settings(self) -> Path:
        return self.directory / "netboot.yaml"

    @property
    def loaders(self) -> Path:
        """Its own loaders, searched before the installed ones."""
        return self.directory / "loaders"


def write_configuration(
    paths: AppliancePaths,
    hosts: Iterable[LabHost],
    *,
    attempts: int = 3,
    ignition: IgnitionWay = IgnitionWay.URL,
    dhcp: str = Lan.dhcp_settings,
) -> None:
    """Write netboot.yaml, hosts.yaml and the roles' Ignition files for the appliance."""
    files = paths.directory / "ign"
    for directory in (files, paths.loaders):
        directory.mkdir(parents=True, exist_ok=True)
    hosts = tuple(hosts)
    carrier = next((BOND_NAME for host in hosts if host.bond), CARD_NAME)
    for source in sorted((assets_directory() / "examples/ign").glob("*.ign")):
        (files / source.name).write_text(_role_file(source.read_text(), carrier))
    (paths.directory / "hosts.d").mkdir(exist_ok=True)
    unknown = "ignore" if all(host.is_registered for host in hosts) else f"inspect, inspect_media: {MEDIUM}"
    paths.settings.write_text(_settings_yaml(paths, attempts=attempts, ignition=ignition, dhcp=dhcp, unknown=unknown))
    (paths.directory / "hosts.yaml").write_text(hosts_yaml(host for host in hosts if host.is_registered))


def _role_file(example: str, carrier: str) -> str:
    """Return an example's text for Debian's Ignition, with keepalived on the card or bond of the lab's machines."""
    config = json.loads(example.replace('"version":"3.4.0"', IGNITION_LIMIT))
    for file in config["storage"]["files"]:
        if file["path"] == _KEEPALIVED:
            packed = base64.b64decode(file["contents"]["source"].partition(",")[2])
            text = re.sub(rb"interface \S+", f"interface {carrier}".encode(), gzip.decompress(packed))
            file["contents"] |= {"source": f"data:,{quote(text)}", "compression": ""}
    return json.dumps(config, separators=(",", ":"))


def _settings_yaml(paths: AppliancePaths, *, attempts: int, ignition: IgnitionWay, dhcp: str, unknown: str) -> str:
    return f"""\
network:
  interfaces: [{{name: {BRIDGE}, address: {APPLIANCE.ip}}}]
dhcp: {dhcp}
bootfiles:
  directories: [{paths.loaders}, /usr/lib/ipxe]
http:
  port: {HTTP_PORT}
admin:
  socket: {paths.socket}
content:
  directory: {paths.content}
  deltas: false  # two cores are busy with the machines
install:
  attempts: {attempts}
  ignition: {ignition}
store:
  url: sqlite+aiosqlite:///{paths.directory / "netboot.db"}
records:
  directory: {paths.directory / "records"}
hosts: {{files: [hosts.yaml, hosts.d], unknown: {unknown}}}
log:
  level: debug
"""


def hosts_yaml(hosts: Iterable[LabHost]) -> str:
    """Return the appliance's hosts.yaml; JSON values are valid YAML."""
    hosts = tuple(hosts)
    init = f"\n  init: {CP1.machine.name}" if CP1.machine.name in {host.machine.name for host in hosts} else ""
    entries = "".join(f"\n  {host.machine.name}: {json.dumps(_entry(host))}" for host in hosts)
    return f"""\
cluster:
  name: lab{init}
defaults:
  boot_media: {MEDIUM}
  release: {RELEASE}
  kernel_arguments: [console=ttyS0, quiet, no_timer_check]  # on a busy host the timer seems not to work
roles:
  control-plane: {{ignition: {{init: ign/init.ign, join: ign/controlplane-join.ign}}}}
  worker: {{ignition: {{join: ign/worker-join.ign}}}}
address_pools:
  {POOL}: {{subnet: {APPLIANCE.network}, addresses: {POOL_ADDRESSES}, gateway: {DHCP_SERVER.ip}}}
hosts:{entries or " {}"}
"""


def _entry(host: LabHost) -> dict[str, object]:
    router = str(DHCP_SERVER.ip)
    network: dict[str, object] = {"address": str(host.address), "gateway": router, "nameservers": [router]}
    network |= {"bond": {"mode": host.bond}} if host.bond else {"interface": CARD_NAME}
    network |= host.network
    optional = {
        "loader": host.loader,
        "firmware": host.reply,
        "rom_ipxe": RomIpxe.REPLACE if host.replaces_rom else None,
        "network": network if host.address is not None else None,
    }
    given = {key: value for key, value in optional.items() if value is not None}
    macs = host.machine.macs
    return {"role": host.role, "mac": macs[0] if len(macs) == 1 else macs, "disk": host.disk, **given, **host.more}
