"""What two areas, or two checks of one area, found alike is reported once."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest

from netboot.doctor.doctor_finding import Area, AreaReport, DoctorFinding, Level
from netboot.doctor.repeated_findings import without_repeated
from netboot.model.boot.other_server import OtherServer, ServerEffect, ServerKind
from netboot.model.host.mac import Mac

NOW = datetime(2026, 11, 30, tzinfo=UTC)
SERVER = OtherServer(
    address=IPv4Address("192.0.2.254"),
    mac=Mac.parse("02:00:00:00:00:fe"),
    interface="s0",
    kind=ServerKind.DHCP,
    effect=ServerEffect.BOOT_FILE,
    boot_file="pxelinux.0",
    next_server="192.0.2.9",
    has_menu=False,
    boot_client=None,
    first_seen=NOW,
    last_seen=NOW,
    offers=1,
)


def kept(seen: OtherServer, level: Level, *, on_lan: Level = Level.WARNING) -> list[str]:
    """Name the checks that remain of a server that the daemon saw and of `SERVER`, which the LAN's area found."""
    sentence = f"{seen.sentence} (last seen 2026-11-30T00:00:00+00:00)"
    of_daemon = DoctorFinding("configuration.other_servers", level, sentence)
    found = DoctorFinding("lan.boot_file", on_lan, SERVER.sentence, ("evidence",))
    reports = [AreaReport(Area.CONFIGURATION, (of_daemon,)), AreaReport(Area.LAN, (found,))]
    return [finding.check for report in without_repeated(reports) for finding in report.findings]


@pytest.mark.parametrize(
    "seen",
    [
        SERVER,
        replace(SERVER, mac=None, effect=ServerEffect.UNSEEN),
        replace(SERVER, boot_file="other.efi", next_server=""),
        replace(SERVER, effect=ServerEffect.NONE),
    ],
)
def test_a_server_that_the_daemon_saw_is_reported_by_the_area_of_the_lan(seen: OtherServer):
    assert kept(seen, Level.WARNING) == ["lan.boot_file"]
    assert kept(seen, Level.NOTE) == ["lan.boot_file"]


def test_a_worse_finding_of_the_daemon_remains():
    worse = replace(SERVER, boot_file="other.efi")

    assert kept(worse, Level.WARNING, on_lan=Level.NOTE) == ["configuration.other_servers", "lan.boot_file"]


@pytest.mark.parametrize(
    "other",
    [
        replace(SERVER, address=IPv4Address("192.0.2.25")),
        replace(SERVER, interface="s1"),
        replace(SERVER, kind=ServerKind.PROXY, effect=ServerEffect.PXE_SERVER),
    ],
)
def test_another_server_another_interface_and_another_service_are_not_the_same(other: OtherServer):
    assert kept(other, Level.WARNING) == ["configuration.other_servers", "lan.boot_file"]


def test_without_the_area_of_the_lan_the_servers_of_the_daemon_remain():
    report = AreaReport(
        Area.CONFIGURATION, (DoctorFinding("configuration.other_servers", Level.WARNING, SERVER.sentence),)
    )

    assert without_repeated([report]) == [report]


def test_a_reason_that_an_earlier_check_of_the_area_states_is_left_out():
    ready = DoctorFinding("host.ready", Level.PROBLEM, "cannot serve w1: the token ended")
    ended = DoctorFinding("host.deadlines", Level.PROBLEM, "the token ended", ("used by w1",))

    [report] = without_repeated([AreaReport(Area.HOST, (ready, ended))])

    assert report.findings == (ready,)
