"""What shim, GRUB and iPXE request from a running daemon beside their loader, by TFTP and HTTP."""

import subprocess

import pytest
from fixtures.packets import SERVER
from fixtures.rack import BASE, Machine, Rack
from scapy.layers.dhcp import BOOTP, DHCP

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
PE_IMAGE = b"MZ" + bytes(0x3A) + (0x40).to_bytes(4, "little") + b"PE\0\0\x64\x86" + bytes(6000)


def tftp(machine: Machine, name: str) -> str | None:
    """Read a file by TFTP with curl; None if it is not there."""
    command = ["ip", "netns", "exec", machine.rack.client_namespace, "curl", "-sS", "--max-time", "10"]
    done = subprocess.run(
        [*command, "--interface", machine.address, f"tftp://{SERVER}/{name}"],
        capture_output=True,
        timeout=20,
        check=False,
    )
    if done.returncode == 68:  # CURLE_TFTP_NOTFOUND: ERROR 1
        return None
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("latin-1")


def furnish(rack: Rack) -> None:
    """Give the rack shim and GRUB, pin cp1 to shim, and start again."""
    loaders = rack.directory / "loaders"
    loaders.mkdir()
    for name in ("snponly.efi", "shimx64.efi", "grubx64.efi"):
        (loaders / name).write_bytes(PE_IMAGE)
    rack.config.write_text(rack.config.read_text() + "bootfiles: {directories: [loaders]}\n")
    hosts = rack.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("mac: 52:54:00:aa:bb:01", "mac: 52:54:00:aa:bb:01, loader: shimx64.efi"))
    rack.kill()
    rack.start()


def test_shim_and_grub_lead_an_armed_machine_into_its_installer_by_tftp_and_http(rack: Rack):
    furnish(rack)
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")

    by_pxe = cp1.discover()
    by_http = cp1.discover(vendor=b"HTTPClient:Arch:00016:UNDI:003001", arch=16)
    cp1.request()
    url = dict(option for option in by_http[DHCP].options if isinstance(option, tuple))["boot-file-name"].decode()
    shim, grub = tftp(cp1, "shimx64.efi"), tftp(cp1, "/grubx64.efi")
    config = tftp(cp1, "/grub.cfg-01-52-54-00-aa-bb-01")

    assert by_pxe[BOOTP].file.startswith(b"shimx64.efi\0")
    assert url == f"{BASE}/boot/52-54-00-aa-bb-01/shimx64.efi"
    assert shim == grub == PE_IMAGE.decode("latin-1")
    assert tftp(cp1, "revocations_sbat.efi") is None
    assert config is not None
    assert "inst.ks=http://192.0.2.10:8080/ks/" in config
    assert cp1.get(url.replace("shimx64.efi", "grub.cfg")).body == config
    assert rack.install("cp1")["arming"]["spent"] == 1


def test_the_same_names_lead_no_unarmed_or_unregistered_machine_to_an_installer(rack: Rack):
    furnish(rack)
    cp1, unregistered = rack.machine(*CP1), rack.machine("52:54:00:99:99:99", "192.0.2.60")
    cp1.boots()

    said = [tftp(cp1, name) for name in ("grub.cfg", "grub/grub.cfg-C0000232", "grub.cfg-01-52-54-00-aa-bb-01")]

    assert all(text is not None and "exit 1" in text and "linux" not in text for text in said)
    assert tftp(unregistered, "grub.cfg") is None
    assert "linux" not in str(tftp(unregistered, "grub.cfg-01-52-54-00-aa-bb-01"))
    assert cp1.get("/boot/52-54-00-aa-bb-01/local-disk.efi").status == 404


def test_an_ipxe_that_requests_autoexec_is_directed_to_its_script(rack: Rack):
    furnish(rack)
    cp1 = rack.machine(*CP1)
    cp1.boots()

    said = [tftp(cp1, "autoexec.ipxe"), cp1.get("/bootfiles/autoexec.ipxe").body]

    assert all(text is not None and f"{BASE}/boot/52-54-00-aa-bb-01.ipxe" in text for text in said)
