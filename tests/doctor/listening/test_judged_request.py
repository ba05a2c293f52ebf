"""The judgement of one request is the daemon's own decision, with the reason in one sentence."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from fixtures.files import write_boot_files, write_files
from fixtures.packets import BIOS, UEFI, message, opts

from netboot.app import from_settings
from netboot.boot.live_registry import Registry
from netboot.doctor.listening.judged_request import HostStates, JudgedRequest, RequestJudge
from netboot.model.boot.offer import UnknownHosts
from netboot.model.clock import utc_now
from netboot.model.host.mac import Mac
from netboot.model.host.network import DhcpMode
from netboot.model.install.inspection import OneTimeBoot, RequestedBoot
from netboot.registry.load import read
from netboot.wire.dhcp import message as dhcp

OURS = frozenset({IPv4Address("192.0.2.10")})
UNREGISTERED = bytes.fromhex("525400000077")
KNOWN = HostStates(is_known=True)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    directory = write_files(tmp_path_factory.mktemp("appliance"))
    write_boot_files(directory / "boot")
    settings = directory / "netboot.yaml"
    settings.write_text(settings.read_text() + "bootfiles: {directories: [boot]}\n")
    configuration = read(settings)
    return from_settings.registry_for(configuration.settings, configuration)[0]


def judged(
    registry: Registry, packet: bytes, states: HostStates = KNOWN, *, mode: DhcpMode = DhcpMode.PROXY, port: int = 67
) -> JudgedRequest | None:
    return RequestJudge(registry, mode, OURS).judge(dhcp.parse(packet), port, states)


def found(registry: Registry, packet: bytes, states: HostStates = KNOWN, **given: DhcpMode) -> tuple[str, str, str]:
    result = judged(registry, packet, states, **given)
    assert result is not None
    return result.result, result.boot_file, result.why


def test_a_host_boots_its_disk_until_it_is_armed(registry: Registry) -> None:
    assert found(registry, message(opts())) == ("local-disk", "", "cp1 is not armed: it boots its own disk")
    armed = HostStates(armed=frozenset({"cp1"}), is_known=True)
    assert found(registry, message(opts()), armed) == (
        "loader",
        "snponly.efi",
        "cp1 is armed: it boots its installer",
    )


def test_a_rescue_leads_to_a_loader(registry: Registry) -> None:
    rescue = HostStates(once={"cp1": RequestedBoot(OneTimeBoot.RESCUE, utc_now(), "ol8u10-x86_64")}, is_known=True)

    result, _, why = found(registry, message(opts()), rescue)
    assert (result, why) == ("loader", "cp1 boots an inspection or a rescue once")


def test_bios_and_ipxe_need_a_script_for_their_disk(registry: Registry) -> None:
    assert found(registry, message(opts(vendor=BIOS, arch=b"\0\0")))[:2] == ("loader", "undionly.kpxe")
    ipxe = message(opts(vendor=UEFI, more=[(77, b"iPXE")]))
    result = judged(registry, ipxe)
    assert result is not None
    assert (result.stage, result.result_text) == ("ipxe", "would be offered the URL of its script")


@pytest.mark.parametrize(
    ("unknown", "result", "why"),
    [
        (UnknownHosts.IGNORE, "nothing", "it is not registered, and hosts.unknown is ignore"),
        (UnknownHosts.WAIT, "loader", "it is not registered, and hosts.unknown is wait: its script waits"),
        (
            UnknownHosts.INSPECT,
            "loader",
            "it is not registered, and hosts.unknown is inspect: it is inspected once, then waits",
        ),
    ],
)
def test_an_unregistered_machine_gets_what_the_settings_decide(
    registry: Registry, unknown: UnknownHosts, result: str, why: str
) -> None:
    policy = replace(registry.policy, unknown=unknown)
    shown = found(replace(registry, policy=policy), message(opts(), chaddr=UNREGISTERED))

    assert (shown[0], shown[2]) == (result, why)


def test_the_host_of_a_faulty_entry_boots_its_disk(registry: Registry) -> None:
    policy = replace(registry.policy, left_out=frozenset({Mac.parse("52:54:00:aa:bb:01")}))

    result, _, why = found(replace(registry, policy=policy), message(opts()))
    assert (result, why) == ("local-disk", "the entry of its host has a fault, so it boots its own disk; netboot check")


def test_without_dhcp_nothing_is_offered(registry: Registry) -> None:
    assert found(registry, message(opts()), mode=DhcpMode.OFF)[::2] == ("nothing", "dhcp.mode is off")


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (message(opts(vendor=None)), "it requests no network boot: a running system or an installer"),
        (message(opts(arch=None, vendor=b"PXEClient")), "it names no architecture, in option 93 or in option 60"),
        (message(opts(), giaddr="192.0.2.10"), "its giaddr is no address of a relay"),
        (message(opts(), chaddr=bytes(6)), "nothing in it identifies the machine"),
        (message(opts(arch=b"\0\x63")), "no loader is known for its architecture; bootfiles.loaders can name one"),
    ],
)
def test_what_gets_no_reply_has_its_reason(registry: Registry, packet: bytes, why: str) -> None:
    result = judged(registry, packet)

    assert result is not None
    assert (result.result, result.why, result.result_text) == ("nothing", why, "would be offered nothing")


@pytest.mark.parametrize("packet", [message(opts(kind=3)), message(opts(kind=2), op=2), message(b"\xff")])
def test_what_no_offer_answers_is_not_shown(registry: Registry, packet: bytes) -> None:
    assert judged(registry, packet) is None


def test_port_4011_is_judged_by_its_own_rules(registry: Registry) -> None:
    result = judged(registry, message(opts(kind=3), ciaddr="192.0.2.50"), port=4011)

    assert result is not None
    assert result.host == "cp1"


def test_the_relay_of_a_request_is_shown(registry: Registry) -> None:
    result = judged(registry, message(opts(), giaddr="198.51.100.1", hops=1))

    assert result is not None
    assert result.relay == "198.51.100.1"
