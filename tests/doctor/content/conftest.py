"""An appliance whose content is healthy; each test spoils one thing, finds it, and follows the cure."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures import signed_loaders as made
from fixtures.files import HOSTS, SETTINGS, write_files

from netboot.app import from_settings
from netboot.doctor.content.content_facts import ContentFacts
from netboot.doctor.content.examine_content import examine_content
from netboot.doctor.content.known_machines import KnownMachine
from netboot.doctor.doctor_finding import AreaReport, DoctorFinding
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.host.mac import Mac
from netboot.registry.load import read

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LOADERS = {"snponly.efi": made.ipxe(), "snponly-arm64.efi": made.ipxe("arm64"), "undionly.kpxe": made.bios()}
VENDOR = made.authority("Vendor CA")
SIGNED_GRUB = made.grub(signers=[made.authority("Vendor Signer", VENDOR)])
SIGNED_SHIM = made.shim(VENDOR, signers=[made.microsoft(2011), made.microsoft(2023)])
WITH_SHIM = HOSTS.replace("w1: {", "w1: {loader: shimx64.efi, ")


@dataclass
class Appliance:
    """The files of an appliance, and what the doctor finds in them."""

    directory: Path
    machines: Sequence[KnownMachine] | None = ()
    now: datetime = NOW
    makes_deltas: bool = False
    receives_logs: bool = False

    @property
    def boot(self) -> Path:
        return self.directory / "boot"

    @property
    def medium(self) -> Path:
        return self.directory / "content/media/ol8u10-x86_64"

    @property
    def release(self) -> Path:
        return self.directory / "content/ostree/ock-1.31-amd64"

    def facts(self) -> ContentFacts:
        configuration = read(self.directory / "netboot.yaml")
        registry, _ = from_settings.registry_for(configuration.settings, configuration, now=lambda: self.now)
        return ContentFacts(
            registry,
            configuration.settings.content.directory,
            self.now,
            self.machines,
            makes_deltas=self.makes_deltas,
            receives_logs=self.receives_logs,
        )

    def report(self, *, verifies: bool = False) -> AreaReport:
        return asyncio.run(examine_content(self.facts(), verifies=verifies))

    def findings(self, check: str = "", *, verifies: bool = False) -> list[DoctorFinding]:
        return [each for each in self.report(verifies=verifies).findings if each.check.startswith(check)]

    def finding(self, check: str, *, verifies: bool = False) -> DoctorFinding:
        """Return the only finding of a check."""
        [found] = self.findings(check, verifies=verifies)
        return found

    def add_machine(self, mac: str, *, arch: int = Arch.X64_UEFI, secure_boot: bool | None = None) -> None:
        """Let a machine of a host, or an unregistered one, have been seen."""
        host = self.facts().registry.hosts.by_mac(Mac.parse(mac))
        client = BootClient(Mac.parse(mac), arch, BootProtocol.PXE, Stage.FIRMWARE)
        self.machines = [*(self.machines or ()), KnownMachine(client.mac, client, host, secure_boot)]

    def with_shim(self, shim: bytes = SIGNED_SHIM, second: bytes | None = SIGNED_GRUB) -> None:
        """Let w1 boot by a shim, with the file that it starts beside it."""
        (self.directory / "hosts.yaml").write_text(WITH_SHIM)
        (self.boot / "shimx64.efi").write_bytes(shim)
        (self.boot / "grubx64.efi").unlink(missing_ok=True)
        if second is not None:
            (self.boot / "grubx64.efi").write_bytes(second)
        self.machines = [
            replace(each, host=self.facts().registry.hosts.by_mac(each.mac)) for each in self.machines or ()
        ]


@pytest.fixture(scope="session")
def healthy_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = SETTINGS + "bootfiles: {directories: [boot]}\n"
    directory = write_files(tmp_path_factory.mktemp("healthy"), settings=settings)
    (directory / "boot").mkdir()
    for name, content in LOADERS.items():
        (directory / "boot" / name).write_bytes(content)
    medium = directory / "content/media/ol8u10-x86_64"
    (medium / "images/install.img").write_bytes(b"hsqs" + bytes(36) + (200).to_bytes(8, "little") + bytes(160))
    return directory


@pytest.fixture
def appliance(healthy_files: Path, tmp_path: Path) -> Appliance:
    shutil.copytree(healthy_files, tmp_path, dirs_exist_ok=True)
    return Appliance(tmp_path)
