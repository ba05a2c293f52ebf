"""Boot files that are added, changed and removed while the daemon runs: HTTP, TFTP and DHCP use them at once."""

import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from fixtures.packets import SERVER
from fixtures.rack import Machine, Rack
from scapy.layers.dhcp import BOOTP

pytestmark = pytest.mark.integration

PE_IMAGE = b"MZ" + bytes(0x3A) + (0x40).to_bytes(4, "little") + b"PE\0\0\x64\x86" + bytes(600)
NAMES = ["a b.efi", "c++.efi", "50%.efi", "%41.efi", "%2e%2e", "é-ü.efi", "日本.efi", "a&b;c=d#e?f.efi", "x/y z/+.efi"]


@pytest.fixture
def loaders(rack: Rack) -> Path:
    """Start the daemon with a directory of boot files that is not there yet."""
    settings = rack.config.read_text().replace("files: [hosts.yaml]", "files: [hosts.yaml], unknown: wait")
    rack.config.write_text(settings + "bootfiles: {directories: [loaders]}\n")
    rack.kill()
    rack.start()
    return rack.directory / "loaders"


def curl(machine: Machine, url: str) -> bytes:
    command = ["ip", "netns", "exec", machine.rack.client_namespace, "curl", "-sS", "--max-time", "10", "--path-as-is"]
    done = subprocess.run([*command, "--interface", machine.address, url], capture_output=True, timeout=20, check=False)
    return done.stdout


def both(machine: Machine, name: str) -> tuple[bytes, bytes]:
    """Request a name by HTTP and by TFTP."""
    path = quote(name, safe="/")
    return curl(machine, f"http://{SERVER}:8080/bootfiles/{path}"), curl(machine, f"tftp://{SERVER}/{path}")


def test_a_file_that_comes_changes_or_goes_is_seen_by_the_next_request(rack: Rack, loaders: Path) -> None:
    machine = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")
    assert both(machine, "new.efi") == (b"404 Not Found: no such file\n", b"")

    loaders.mkdir()
    for content in (b"first", b"other", b"a longer one", b"third"):  # overwritten in place
        (loaders / "new.efi").write_bytes(content)
        assert both(machine, "new.efi") == (content, content)
    (loaders / "fresh").write_bytes(b"renamed over")
    (loaders / "fresh").rename(loaders / "new.efi")
    assert both(machine, "new.efi") == (b"renamed over", b"renamed over")
    (loaders / "below").mkdir()
    (loaders / "below" / "deep.efi").write_bytes(b"deep")
    assert both(machine, "below/deep.efi") == (b"deep", b"deep")
    (loaders / "link").symlink_to("below/deep.efi")
    assert both(machine, "link") == (b"deep", b"deep")
    (loaders / "new.efi").unlink()
    assert both(machine, "new.efi") == (b"404 Not Found: no such file\n", b"")


def test_every_name_is_decoded_once_and_leads_nowhere_else(rack: Rack, loaders: Path) -> None:
    machine = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")
    (rack.directory / "secret").write_bytes(b"secret")
    for name in NAMES:
        (loaders / name).parent.mkdir(parents=True, exist_ok=True)
        (loaders / name).write_bytes(name.encode())

    for name in NAMES:
        assert both(machine, name) == (name.encode(), name.encode())
    for path in (
        "../secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "%252e%252e/secret",
        "x/%2e%2e%2f..%2f../secret",
        "%5c..%5csecret",
    ):
        assert curl(machine, f"http://{SERVER}:8080/bootfiles/{path}").startswith(b"404"), path
        assert curl(machine, f"tftp://{SERVER}/{path}") == b"", path


def test_a_loader_that_was_missing_is_offered_when_it_comes(rack: Rack, loaders: Path) -> None:
    def offered(mac: str) -> bytes | None:
        offer = Machine(rack, mac, "").discover()
        return None if offer is None else offer[BOOTP].file.rstrip(b"\0")

    assert offered("52:54:00:00:00:01") is None
    loaders.mkdir()
    (loaders / "ipxe.efi").write_bytes(PE_IMAGE)
    assert offered("52:54:00:00:00:01") == b"ipxe.efi"

    (loaders / "snponly.efi").write_bytes(PE_IMAGE)
    rack.wait_for_log('"pxe/x64":"snponly.efi"')
    assert offered("52:54:00:00:00:02") == b"snponly.efi"

    (loaders / "snponly.efi").write_bytes(PE_IMAGE.replace(b"\x64\x86", b"\x64\xaa"))  # for another CPU now
    deadline = time.monotonic() + 10
    while rack.log.count('"pxe/x64":"ipxe.efi"') < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert offered("52:54:00:00:00:03") == b"ipxe.efi"
