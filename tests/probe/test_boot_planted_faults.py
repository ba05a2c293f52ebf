"""Faults that are planted in a live daemon: the simulation of a firmware that they break names each with its step."""

import re
import time
from collections.abc import Iterator
from uuid import UUID

import pytest
from fixtures.faulty_daemon import FaultyRack, running_with_faults
from fixtures.files import OPEN_SETTINGS, write_boot_files, write_files
from fixtures.servers import dnsmasq, running_server
from fixtures.signed_loaders import grub, microsoft, shim
from fixtures.simulated import on_lan

from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.probe.boot import BootOutcome, simulate_boot
from netboot.probe.firmwares.profiles import profile_named
from netboot.probe.lan.lan_interface import LanInterface
from netboot.probe.machine import Behaviour, SimulatedMachine
from netboot.probe.machine_timeline import MachineTimeline

pytestmark = pytest.mark.integration

HASTE = 12.0
HOSTS = """\
cluster: {name: rackone, init: cp1}
defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64, disk: /dev/vda, ntp: [192.0.2.1]}
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}
  worker: {ignition: {join: ign/worker-join.ign}}
hosts:
  cp1: {role: control-plane, mac: 52:54:00:aa:bb:01}
  sb1: {role: worker, mac: 52:54:00:aa:bb:02, loader: shimx64.efi}
"""
CP1, SB1, NOBODY = "52:54:00:aa:bb:01", "52:54:00:aa:bb:02", "52:54:00:77:00:01"
GRUB_NEEDS_THE_LENGTH = "GRUB cannot GET .*: the response has no Content-Length that it can read"


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyRack]:
    """A daemon beside a lease server; its faults are planted one at a time."""
    directory = tmp_path_factory.mktemp("planted")
    settings = OPEN_SETTINGS.replace("directory: content}", "directory: content, deltas: false}")
    write_files(directory, settings=settings, hosts=HOSTS)
    write_boot_files(directory / "boot")
    signer = microsoft()
    (directory / "boot/shimx64.efi").write_bytes(shim(signer, signers=[signer]))
    (directory / "boot/grubx64.efi").write_bytes(grub(signers=[signer]))
    with (
        running_with_faults(directory) as rack,
        running_server(rack.server_namespace, *dnsmasq(directory, "--bind-interfaces")),
    ):
        yield rack


def armed(rack: FaultyRack, host: str) -> None:
    rack.api(f"/api/v1/hosts/{host}/cancel", "-X", "POST")
    armed = rack.api(f"/api/v1/hosts/{host}/arm", "-d", '{"reason": "planted fault", "attempts": 2}')
    assert "arming" in armed, armed


def boot(rack: FaultyRack, firmware: str, mac: str, until: Step) -> BootOutcome:
    """Play a machine that spends everything."""
    for host, its_mac in (("cp1", CP1), ("sb1", SB1)):
        if mac == its_mac:
            armed(rack, host)

    async def scenario(lan: LanInterface) -> BootOutcome:
        machine = SimulatedMachine(
            Mac.parse(mac),
            UUID("00112233-4455-6677-8899-aabbccddeeff"),
            profile_named(firmware),
            lan,
            MachineTimeline(time.monotonic),
            Behaviour(haste=HASTE),
        )
        try:
            return await simulate_boot(machine, until=until, spends=True)
        finally:
            await machine.power_off()

    return on_lan(rack.lan, scenario)


@pytest.mark.parametrize(
    ("firmware", "mac", "until"),
    [
        ("edk2-pxe", CP1, Step.READY),
        ("edk2-http", NOBODY, Step.LOADER),
        ("grub-http", SB1, Step.INITRD),
        ("u-boot", NOBODY, Step.LOADER),
    ],
)
def test_the_healthy_daemon_has_none_of_them(rack: FaultyRack, firmware: str, mac: str, until: Step) -> None:
    outcome = boot(rack, firmware, mac, until)

    assert (outcome.failure, outcome.ended_at) == (None, until)


@pytest.mark.parametrize(
    ("fault", "firmware", "mac", "step", "sentence"),
    [
        ("port 4011 is silent", "edk2-pxe", NOBODY, Step.PXE_REQUEST, "PXE-E16"),
        ("option 67 has no END", "edk2-pxe", NOBODY, Step.OFFER, r"PXE-E16(.|\n)*: END \(255\) is missing"),
        ("siaddr is 0", "u-boot", NOBODY, Step.OFFER, "U-Boot prints Retry(.|\n)*whose siaddr is 0.0.0.0"),
        ("the OACK has an option more", "edk2-pxe", NOBODY, Step.LOADER, "the OACK has timeout, which was not req"),
        ("tsize is wrong", "edk2-pxe", NOBODY, Step.LOADER, "EDK2 read .* bytes of snponly.efi, but tsize was"),
        ("DATA has another block size", "edk2-pxe", NOBODY, Step.LOADER, "EDK2 read 512 bytes of snponly.efi, but"),
        ("a loader of another CPU", "edk2-pxe", NOBODY, Step.LOADER, "snponly.efi is built for arm64, this machine is"),
        ("no Content-Length", "edk2-http", NOBODY, Step.LOADER, "no Content-Length that it can read"),
        ("lower-case Content-Length", "grub-http", SB1, Step.SCRIPT, GRUB_NEEDS_THE_LENGTH),
        ("HEAD and GET differ", "edk2-http", NOBODY, Step.LOADER, "HEAD has Content-Length 7, GET "),
        ("the connection is closed after HEAD", "edk2-http", NOBODY, Step.LOADER, "EDK2 cannot GET .*(closed|reset)"),
        ("a script with an unknown command", "edk2-pxe", CP1, Step.SCRIPT, "frobnicate"),
        ("no kernel", "edk2-pxe", CP1, Step.KERNEL, "the server has no .*vmlinuz"),
        ("a Retry-After for ever", "edk2-pxe", CP1, Step.KERNEL, "status 503"),
        ("a truncated initrd", "edk2-pxe", CP1, Step.INITRD, "iPXE cannot GET .*initrd.img"),
        ("the Kickstart is served twice", "edk2-pxe", CP1, Step.KICKSTART, "again after the start"),
        ("a ref to a commit that is gone", "edk2-pxe", CP1, Step.OSTREE, "404"),
        ("an object with a wrong checksum", "edk2-pxe", CP1, Step.OSTREE, "Corrupted filez object"),
        ("a wrong verification hash", "edk2-pxe", CP1, Step.IGNITION, "a merged config: hash verification failed"),
    ],
)
def test_a_planted_fault_is_named(
    rack: FaultyRack, fault: str, firmware: str, mac: str, step: Step, sentence: str
) -> None:
    with rack.plant(fault):
        outcome = boot(rack, firmware, mac, Step.READY)

    assert outcome.failure is not None, (outcome.end, outcome.sentence)
    assert outcome.failure.step is step, outcome.failure
    shown = "\n".join((outcome.failure.sentence, *outcome.failure.evidence))
    assert re.search(sentence, shown), shown
    assert outcome.failure.cure
