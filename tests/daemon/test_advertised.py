"""An appliance behind a router: machines get the router's address, which forwards to it."""

import re
import subprocess
from pathlib import Path

import pytest
from fixtures.files import SETTINGS
from fixtures.packets import SERVER
from fixtures.rack import Rack, running
from scapy.layers.dhcp import BOOTP, DHCP

pytestmark = pytest.mark.integration

ADVERTISED = "203.0.113.10"


def urls(text: str) -> set[str]:
    return set(re.findall(r"https?://[^/\s]+", text))


def test_every_address_that_a_machine_gets_is_the_advertised_one_but_the_servers_identity(rack_directory: Path):
    settings = SETTINGS.replace("[s0]", f"[{{name: s0, advertise: {ADVERTISED}}}]")
    (rack_directory / "netboot.yaml").write_text(settings)
    with running(rack_directory) as rack:
        rack.netboot("install", "arm", "cp1")
        cp1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")
        cp1.boots()
        offers = [cp1.discover(), cp1.discover(vendor=b"HTTPClient:Arch:00016", arch=16), cp1.discover(ipxe=True)]
        script = cp1.script()
        found = re.search(r"/ks/[0-9a-f]+", script)
        assert found is not None, script
        kickstart = cp1.get(found[0]).body
        grub = cp1.get("/boot/52-54-00-aa-bb-01/grub.cfg").body
        autoexec = tftp(rack, cp1.address, "autoexec.ipxe")

    for offer in offers:
        options = dict(option for option in offer[DHCP].options if isinstance(option, tuple))
        assert (offer[BOOTP].siaddr, options["server_id"]) == (ADVERTISED, "192.0.2.10")
    files = [offer[BOOTP].file.rstrip(b"\0").decode() for offer in offers[1:]]
    assert [urls(text) for text in (*files, script, kickstart, autoexec)] == [{f"http://{ADVERTISED}:8080"}] * 5
    assert ADVERTISED in grub
    assert not re.search(rf"{re.escape(SERVER)}(?!\d)", "".join((*files, script, kickstart, autoexec, grub)))


def tftp(rack: Rack, address: str, name: str) -> str:
    """Read a file with curl's TFTP client from a machine's address."""
    command = ["ip", "netns", "exec", rack.client_namespace, "curl", "-sS", "--interface", address]
    done = subprocess.run(
        [*command, f"tftp://192.0.2.10/{name}"], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout
