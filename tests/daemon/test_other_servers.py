"""Other people's DHCP and PXE servers on the boot LAN are named, with what they do to boots and the cure."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import wait_until
from fixtures.packets import message, opts
from fixtures.rack import Rack
from fixtures.servers import Started, dhcpd, dnsmasq, kea, running_server
from fixtures.wire import Wire
from scapy.layers.dhcp import BOOTP
from scapy.layers.inet import UDP

pytestmark = pytest.mark.integration

CP1, UNREGISTERED = "52:54:00:aa:bb:01", "52:54:00:00:00:77"
FOREIGN = "192.0.2.254"


@dataclass
class Lan:
    """The appliance, another server and a machine on one bridge."""

    rack: Rack
    machine: Wire

    @property
    def servers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.rack.api("/api/v1/status")["other_servers"]
        return found

    def boot(self, mac: str = CP1, *, server: str = FOREIGN) -> None:
        """Send a DISCOVER as UEFI firmware does, and wait for the offer of the other server."""
        xid = int.from_bytes(os.urandom(4), "big")
        self.machine.send(message(opts(), xid=xid, chaddr=bytes.fromhex(mac.replace(":", ""))), mac=mac)
        assert self.machine.receive(lambda frame: frame[UDP].sport == 67 and is_offer(frame, xid, server)) is not None

    def seen(self, **expected: Any) -> dict[str, Any]:
        """Wait until the status has one other server with these values."""

        def found() -> dict[str, Any] | None:
            servers = self.servers
            return servers[0] if len(servers) == 1 and expected.items() <= servers[0].items() else None

        return wait_until(found, failed=lambda: f"{expected} is not in {self.servers}")


def is_offer(frame: Any, xid: int, server: str) -> bool:
    body = BOOTP(bytes(frame[UDP].payload))
    return body.xid == xid and ("server_id", server) in body.getlayer(1).options


@pytest.fixture
def lan(rack: Rack) -> Lan:
    """Join the appliance's wire, a machine's, and the place of another server, 192.0.2.254, by a bridge."""

    def ip(*arguments: str) -> None:
        rack.lan.ip(rack.client_namespace, *arguments)

    ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
    ip("link", "add", "m0", "type", "veth", "peer", "name", "m1")
    for port in ("c0", "m0"):
        ip("link", "set", port, "master", "br0")
    for name in ("m0", "m1", "br0"):
        ip("link", "set", name, "up")
    ip("addr", "flush", "dev", "c0")
    ip("addr", "add", f"{FOREIGN}/24", "dev", "br0")
    return Lan(rack, rack.lan.wire("m1"))


def proxy(directory: Path) -> Started:
    options = ("--dhcp-range=192.0.2.0,proxy", "--pxe-service=x86-64_EFI,Foreign,foreign.efi")
    return dnsmasq(directory, *options, interface="br0", leases=False)


def test_the_dhcp_server_of_the_lan_is_a_note(lan: Lan, tmp_path: Path) -> None:
    with running_server(lan.rack.client_namespace, *dnsmasq(tmp_path, interface="br0")):
        lan.boot()
        server = lan.seen(address=FOREIGN, kind="dhcp", effect="none", takes_boots=False)

    event = lan.rack.wait_for("lan.server_seen")
    checked = json.loads(lan.rack.netboot("check", "--json"))
    assert (event["level"], event["address"], event["kind"], event["cure"]) == ("info", FOREIGN, "dhcp", "")
    assert (server["interface"], server["boot_file"], server["boot_client"], server["cure"]) == ("s0", "", None, "")
    assert checked["warnings"] == []
    assert any(note.startswith(server["sentence"]) for note in checked["notes"])
    assert lan.rack.lines("boot.offered_elsewhere") == []
    metrics = lan.rack.curl_api("/metrics").body
    assert 'netboot_other_servers{effect="none"} 1.0' in metrics
    assert 'netboot_other_servers{effect="pxe-server"} 0.0' in metrics


def boot_dnsmasq(directory: Path) -> Started:
    return dnsmasq(directory, "--dhcp-boot=pxelinux.0,,192.0.2.9", interface="br0")


def boot_dhcpd(directory: Path) -> Started:
    return dhcpd(directory, 'filename "pxelinux.0";', "next-server 192.0.2.9;", interface="br0")


@pytest.mark.parametrize("other", [boot_dnsmasq, boot_dhcpd])
def test_a_dhcp_server_with_a_boot_file_is_a_warning_with_the_cure_and_evidence_of_the_machine(
    lan: Lan, tmp_path: Path, other: Callable[[Path], Started]
) -> None:
    with running_server(lan.rack.client_namespace, *other(tmp_path)):
        lan.boot()
        lan.boot(UNREGISTERED)
        server = lan.seen(effect="boot-file", boot_file="pxelinux.0", next_server="192.0.2.9", takes_boots=True)

    event = lan.rack.wait_for("lan.server_seen", effect="boot-file")
    of_host = lan.rack.wait_for("boot.offered_elsewhere", host="cp1")
    assert (event["level"], event["boot_file"]) == ("warning", "pxelinux.0")
    assert "dhcp-boot of dnsmasq" in event["cure"]
    assert (of_host["mac"], of_host["address"], of_host["boot_file"]) == (CP1, FOREIGN, "pxelinux.0")
    lan.rack.wait_for("boot.offered_elsewhere", mac=UNREGISTERED, host=None)
    (warning,) = json.loads(lan.rack.netboot("check", "--json"))["warnings"]
    assert warning.startswith(f"{server['sentence']} (last seen ")
    assert "options 66 and 67" in warning
    stored = lan.rack.api("/api/v1/hosts/cp1/install")
    assert stored["blocked"] is None or stored["blocked"]["reason"] != "elsewhere"


def test_a_corrected_dhcp_server_is_a_note_after_the_next_boot_of_the_machine(lan: Lan, tmp_path: Path) -> None:
    with running_server(lan.rack.client_namespace, *boot_dnsmasq(tmp_path)):
        lan.boot()
        lan.seen(effect="boot-file")
    with running_server(lan.rack.client_namespace, *dnsmasq(tmp_path, interface="br0")):
        lan.boot(UNREGISTERED)
        assert lan.seen(offers=2)["effect"] == "boot-file"
        lan.boot()
        assert lan.seen(offers=3)["effect"] == "none"

    assert [line["effect"] for line in lan.rack.lines("lan.server_seen")] == ["boot-file", "none"]


def test_a_dhcp_server_that_names_this_appliance_is_a_note(lan: Lan, tmp_path: Path) -> None:
    other = dhcpd(tmp_path, 'filename "snponly.efi";', "next-server 192.0.2.10;", interface="br0")
    with running_server(lan.rack.client_namespace, *other):
        lan.boot()
        lan.seen(effect="leads-here", takes_boots=False)

    assert json.loads(lan.rack.netboot("check", "--json"))["warnings"] == []


def test_a_dhcp_server_that_sends_option_60_is_a_warning(lan: Lan, tmp_path: Path) -> None:
    with running_server(
        lan.rack.client_namespace, *dnsmasq(tmp_path, "--dhcp-option-force=60,PXEClient", interface="br0")
    ):
        lan.boot()
        server = lan.seen(effect="pxe-option", kind="dhcp", takes_boots=True)

    assert server["cure"].startswith("remove option 60 from its replies")


def test_another_pxe_server_is_a_warning_once_for_all_its_offers(lan: Lan, tmp_path: Path) -> None:
    with running_server(lan.rack.client_namespace, *proxy(tmp_path)):
        for _ in range(3):
            lan.boot()
        server = lan.seen(kind="proxy", effect="pxe-server", takes_boots=True, offers=3)

    # its offer has no boot file: UEFI firmware requests it from its port 4011
    assert (server["address"], server["boot_client"], server["boot_file"]) == (FOREIGN, CP1, "")
    assert len(lan.rack.lines("lan.server_seen")) == 1
    assert lan.rack.lines("lan.server_seen")[0]["level"] == "warning"
    assert len(lan.rack.lines("boot.offered_elsewhere")) == 1  # three DISCOVERs at once are one boot


def test_a_server_whose_replies_reach_its_machine_alone_is_named_by_the_requests_for_its_leases(
    lan: Lan, tmp_path: Path
) -> None:
    """Kea sends even a broadcast to the card of the machine, so that the bridge forwards it to no other port."""
    boots = {"next-server": "192.0.2.9", "boot-file-name": "pxelinux.0"}
    with running_server(lan.rack.client_namespace, *kea(tmp_path, interface="br0", **boots)):
        lan.boot()
        assert lan.servers == []
        lan.machine.send(message(opts(kind=3, more=[(54, bytes((192, 0, 2, 254))), (50, bytes((192, 0, 2, 100)))])))
        server = lan.seen(kind="dhcp", effect="unseen", takes_boots=False, mac=None, offers=0)

    assert (server["address"], server["boot_file"]) == (FOREIGN, "")
    checked = json.loads(lan.rack.netboot("check", "--json"))
    (note,) = [note for note in checked["notes"] if note.startswith(server["sentence"])]
    assert "verify that it sends no boot file" in note


def test_the_offers_of_this_appliance_are_not_those_of_another(lan: Lan) -> None:
    lan.boot(server="192.0.2.10")
    time.sleep(0.3)
    assert lan.servers == []
