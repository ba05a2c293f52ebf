"""A simulated boot sends what the real firmware of a capture sent: each packet and request, in its order."""

import difflib
import re
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from uuid import UUID

import pytest
from fixtures.compared_boots import compared_lines
from fixtures.files import OPEN_SETTINGS, write_boot_files, write_files
from fixtures.rack import Rack, running
from fixtures.recorded_frames import recording
from fixtures.servers import dnsmasq, running_server
from fixtures.signed_loaders import grub, microsoft, shim
from fixtures.simulated import on_lan

from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.probe.boot import BootOutcome, simulate_boot
from netboot.probe.dhcp.dhcp_answer import answer_of_datagram
from netboot.probe.firmwares.dhcp_client import MessageKind
from netboot.probe.firmwares.message_form import Values
from netboot.probe.firmwares.profiles import PROFILES, profile_named
from netboot.probe.lan.lan_interface import LanInterface
from netboot.probe.machine import Behaviour, SimulatedMachine
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.replay.capture_file import CapturedDatagram, read_capture
from netboot.probe.replay.recorded_boot import DhcpRequest, recorded_boot

pytestmark = pytest.mark.integration

CAPTURES = Path(__file__).parents[1] / "captures"
HASTE = 8.0
HOSTS = """\
cluster: {name: rackone, init: cp1}
defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64, disk: /dev/vda, ntp: [192.0.2.1]}
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}
  worker: {ignition: {join: ign/worker-join.ign}}
hosts:
  cp1: {role: control-plane, mac: 52:54:00:aa:bb:01}
  w1: {role: worker, mac: 52:54:00:aa:bb:02}
  bios1: {role: worker, mac: 52:54:00:aa:bb:03}
  w4: {role: worker, mac: 52:54:00:aa:bb:04, firmware: without-43}
  bios5: {role: worker, mac: 52:54:00:aa:bb:05, rom_ipxe: replace}
  arm1: {role: worker, mac: 52:54:00:aa:bb:06, loader: grubaa64.efi}
  sb7: {role: worker, mac: 52:54:00:aa:bb:07, loader: shimx64.efi}
  sb8: {role: worker, mac: 52:54:00:aa:bb:08, loader: shimx64.efi}
"""

MACS = dict(re.findall(r"(\w+): \{role: \S+ mac: ([0-9a-f:]{17})", HOSTS))


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """The lab's LAN: a lease server without boot options, and netboot at 192.0.2.10."""
    directory = tmp_path_factory.mktemp("captured")
    settings = OPEN_SETTINGS.replace("directory: content}", "directory: content, deltas: false}")
    write_files(directory, settings=f'{settings}logs: {{listen: "0.0.0.0:514"}}\n', hosts=HOSTS)
    write_boot_files(directory / "boot")
    signer = microsoft()
    for name, content in (
        ("shimx64.efi", shim(signer, signers=[signer])),
        ("grubx64.efi", grub(signers=[signer])),
        ("grubaa64.efi", grub("arm64", signers=[signer])),
    ):
        (directory / "boot" / name).write_bytes(content)
    image = "[stage2]\nmainimage = images/install.img\n"
    (directory / "content/media/ol8u10-x86_64/.treeinfo").write_text(image)
    with running(directory) as rack, running_server(rack.server_namespace, *dnsmasq(directory, "--bind-interfaces")):
        yield rack


def captured(name: str) -> list[CapturedDatagram]:
    return read_capture(CAPTURES / f"{name}.pcapng")


def differences(real: list[str], simulated: list[str]) -> list[str]:
    """Return the lines that only one of both has."""
    return [line for line in difflib.unified_diff(real, simulated, "real", "simulated", n=0) if line[:2] != "@@"]


def simulated(rack: Rack, firmware: str, mac: str, uuid: UUID, until: Step) -> BootOutcome:
    """Play a machine whose frames all have its MAC."""
    rack.lan.ip(rack.client_namespace, "link", "set", "c0", "address", mac)

    async def scenario(lan: LanInterface) -> BootOutcome:
        machine = SimulatedMachine(
            Mac.parse(mac), uuid, profile_named(firmware), lan, MachineTimeline(time.monotonic), Behaviour(haste=HASTE)
        )
        try:
            return await simulate_boot(machine, until=until, spends=True)
        finally:
            await machine.power_off()

    return on_lan(rack.lan, scenario)


@pytest.mark.parametrize(
    ("capture", "firmware", "host", "until"),
    [
        ("edk2-pxe", "edk2-pxe", "cp1", Step.READY),
        ("edk2-http", "edk2-http", "w1", Step.READY),
        ("edk2-pxe-4011", "edk2-pxe", "w4", Step.KICKSTART),
        ("bios-ipxe-rom", "ipxe-rom", "bios1", Step.INITRD),
        ("bios-undionly", "ipxe-rom-replaced", "bios5", Step.INITRD),
    ],
)
def test_a_simulated_boot_sends_what_the_real_one_sent(
    rack: Rack, tmp_path: Path, capture: str, firmware: str, host: str, until: Step
) -> None:
    real = captured(capture)
    rack.run("install", "cancel", host)
    rack.netboot("install", "arm", host)

    with recording(rack, tmp_path / "simulated.pcapng") as recorded:
        outcome = simulated(rack, firmware, MACS[host], uuid_in(real), until)

    assert outcome.failure is None, outcome.failure
    sent = without_journal(compared_lines(recorded.read()))
    found = differences(compared_lines(real), sent)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("capture", "firmware", "host", "until"),
    [
        ("edk2-pxe-shim", "shim-grub", "sb7", Step.SCRIPT),
        ("edk2-http-grub", "grub-http", "sb8", Step.INITRD),
        ("arm64-edk2-pxe-grub", "arm64-edk2-pxe", "arm1", Step.LOADER),
    ],
)
def test_shim_and_grub_request_what_the_real_ones_requested(
    rack: Rack, tmp_path: Path, capture: str, firmware: str, host: str, until: Step
) -> None:
    """The captures have Debian's GRUB: its directory is /grub, and it looks for no configuration of the machine."""
    real = captured(capture)
    rack.run("install", "cancel", host)
    rack.netboot("install", "arm", host)

    with recording(rack, tmp_path / "simulated.pcapng") as recorded:
        outcome = simulated(rack, firmware, MACS[host], uuid_in(real), until)

    assert outcome.failure is None, outcome.failure
    expected = [line.replace("/grub/", "/") for line in compared_lines(real)]
    found = differences(of_loaders(expected, until), of_loaders(compared_lines(recorded.read()), until))
    assert not found, "\n".join(found)


def of_loaders(lines: list[str], until: Step) -> list[str]:
    """Leave out names that belong to a build: GRUB's search, what it lacks, and shim before a GRUB by HTTP."""
    others = ["http.mod", "TFTP /grub.cfg", "GET /ks", *(["lst", "grub.cfg"] if until is Step.LOADER else [])]
    if any(line.startswith("HEAD") for line in lines):
        others += ["revocations", "shim_certificate", "shimx64.efi", "grubx64.efi"]
    return [line for line in lines if not any(other in line for other in others)]


@pytest.mark.parametrize("name", sorted(each.stem for each in CAPTURES.glob("*.pcapng")))
def test_each_dhcp_message_of_a_capture_is_written_alike(name: str) -> None:
    boot = recorded_boot(captured(name))
    clients = [(profile, stage) for profile in PROFILES.values() for stage in profile.stages if profile.is_captured]
    requests = [each for each in boot.requests if isinstance(each, DhcpRequest) and is_of_firmware(each)]

    assert requests
    for request in requests:
        kinds = {1: [MessageKind.DISCOVER], 3: [MessageKind.REQUEST, MessageKind.BOOT_REQUEST]}[request.kind]
        values = values_in(request, boot.mac, uuid_in(captured(name)))
        written = [profile.message(kind, values, stage) for profile, stage in clients for kind in kinds]
        assert request.payload in written, request.payload.hex()


def is_of_firmware(request: DhcpRequest) -> bool:
    return b"PXEClient" in request.payload or b"HTTPClient" in request.payload


def values_in(request: DhcpRequest, mac: Mac, uuid: UUID) -> Values:
    """Return what a message has in place of a form's gaps."""
    data = request.payload
    answer = answer_of_datagram(data, ("0.0.0.0", 0))
    assert answer is not None
    nowhere = bytes(4)
    server, address = (IPv4Address(answer.options.get(code, nowhere)) for code in (54, 50))
    xid, secs = int.from_bytes(data[4:8], "big"), int.from_bytes(data[8:10], "big")
    return Values(mac, uuid, xid, secs, IPv4Address(data[12:16]), server, address)


def uuid_in(datagrams: list[CapturedDatagram]) -> UUID:
    """Return the UUID of the machine of a capture: option 97 of its first message."""
    first = recorded_boot(datagrams).requests[0]
    assert isinstance(first, DhcpRequest)
    return UUID(bytes_le=first.payload.partition(b"\x61\x11\0")[2][:16])


def without_journal(lines: list[str]) -> list[str]:
    """Leave out the journal of the first boot, which the lab's installed system does not send."""
    ignition = next((number for number, line in enumerate(lines) if line.startswith("GET /ign/")), len(lines))
    return [*lines[:ignition], *(line for line in lines[ignition:] if not line.startswith("POST /report/TOKEN/log"))]
