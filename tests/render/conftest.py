"""Three hosts that every document is rendered for, and the golden files that hold the result.

`pytest tests/render --golden` writes the golden files anew; read the difference before you commit it.
"""

import shutil
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.mac import Mac
from netboot.render.template_engine import Engine

PROJECT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a golden file, or write it under --golden."""
    writing = request.config.getoption("--golden", default=False)

    def compare(name: str, text: str) -> None:
        if writing:
            (GOLDEN / name).write_text(text)
        assert text == (GOLDEN / name).read_text()

    return compare


@pytest.fixture
def engine() -> Engine:
    return Engine([PROJECT / "assets" / "templates"])


@pytest.fixture
def base_url() -> str:
    return "http://192.0.2.10:8080"


@pytest.fixture
def role_files() -> Path:
    return PROJECT / "assets" / "examples" / "ign"


@pytest.fixture
def cp1(role_files: Path) -> Host:
    """The first control-plane node: a static address with everything set."""
    return Host(
        name=HostName("cp1"),
        role=Role.CONTROL_PLANE,
        macs=(Mac.parse("52:54:00:aa:bb:01"),),
        boot_media="ol8u10-x86_64",
        release="ock-1.31-amd64",
        disk="/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0",
        kernel_arguments=("console=tty0", "console=ttyS0,115200n8"),
        network=HostNetwork(
            address=IPv4Interface("192.0.2.101/24"),
            gateway=IPv4Address("192.0.2.1"),
            nameservers=(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")),
            interface="enp1s0",
        ),
        ssh_keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFAKE first@example", "ssh-ed25519 AAAAC3Nz second@example"),
        ignition=role_files / "init.ign",
    )


@pytest.fixture
def cp2(role_files: Path) -> Host:
    """A joining control-plane node: several cards, a bare static address, no interface named."""
    return Host(
        name=HostName("cp2"),
        role=Role.CONTROL_PLANE,
        macs=(Mac.parse("52:54:00:aa:bb:02"), Mac.parse("52:54:00:aa:bb:12"), Mac.parse("52:54:00:aa:bb:22")),
        boot_media="ol9u6-x86_64",
        release="ock-1.31-amd64",
        disk="/dev/disk/by-id/wwn-0x5000c500a1b2c3d4",
        timezone="Europe/Berlin",
        network=HostNetwork(address=IPv4Interface("198.51.100.7/25")),
        ignition=role_files / "controlplane-join.ign",
    )


@pytest.fixture
def w1(role_files: Path) -> Host:
    """A worker by DHCP."""
    return Host(
        name=HostName("w1"),
        role=Role.WORKER,
        macs=(Mac.parse("52:54:00:aa:bb:03"),),
        boot_media="ol10u1-x86_64",
        release="ock-1.32-amd64",
        disk="/dev/nvme0n1",
        ssh_keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFAKE first@example",),
        ignition=role_files / "worker-join.ign",
    )


@pytest.fixture(params=["cp1", "cp2", "w1"])
def host(request: pytest.FixtureRequest) -> Host:
    """Each of the three in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def tool() -> Callable[[str], str]:
    """Find a validator of another project, or fail: the Makefile installs them all."""

    def find(name: str) -> str:
        for directory in (None, str(PROJECT / ".venv" / "bin"), "/usr/lib/dracut/modules.d/30ignition"):
            if found := shutil.which(name, path=directory):
                return found
        pytest.fail(f"{name} is not installed; run `make test`, which installs it")

    return find
