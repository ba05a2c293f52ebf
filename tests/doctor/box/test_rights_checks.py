"""Capabilities of the daemon's process and of its unit, and what SELinux denies."""

from pathlib import Path

import pytest
from doctor.box.conftest import Computer

from netboot.doctor.box.box_facts import BoxFacts, NotCheckedError
from netboot.doctor.box.rights_checks import check_rights, check_selinux
from netboot.doctor.doctor_finding import Level

# /proc/PID/status of a daemon that systemd started with the shipped unit, of one with an empty set, and of root's
SHIPPED, NONE, ROOT = "0000000000002400", "0000000000000000", "000001ffffffffff"
DENIED = (
    'type=AVC msg=audit(1764457000.123:456): avc:  denied  { name_bind } for  pid=812 comm="netboot" src=4011 '
    "scontext=system_u:system_r:netboot_t:s0 tcontext=system_u:object_r:unreserved_port_t:s0 tclass=udp_socket"
)


def with_capabilities(computer: Computer, bits: str) -> Computer:
    return computer.with_file("proc/7/status", f"Name:\tnetboot\nCapPrm:\t{bits}\nCapEff:\t{bits}\n").with_file(
        "proc/sys/net/ipv4/ip_unprivileged_port_start", "1024\n"
    )


@pytest.mark.parametrize("bits", [SHIPPED, ROOT])
def test_the_capabilities_of_the_shipped_unit_are_enough(computer: Computer, bits: str):
    given = with_capabilities(computer, bits).inputs(daemon_runs=True, daemon_process=7)

    assert list(check_rights(given)) == []


def test_each_missing_capability_is_named_with_its_effect(computer: Computer):
    given = with_capabilities(computer, NONE).inputs(daemon_runs=True, daemon_process=7)

    bind, raw = check_rights(given)

    assert (bind.level, raw.level) == (Level.PROBLEM, Level.WARNING)
    assert bind.sentence == (
        "the daemon (process 7) has no CAP_NET_BIND_SERVICE, so it cannot open the ports below 1024: 67, 69"
    )
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_RAW" in (bind.cure or "")


def test_frames_need_the_right_to_send_them(computer: Computer):
    given = with_capabilities(computer, "0000000000000400").inputs(
        daemon_runs=True, daemon_process=7, settings="dhcp: {listen: packet}\n"
    )

    [finding] = check_rights(given)

    assert (finding.level, finding.sentence) == (
        Level.PROBLEM,
        "the daemon (process 7) has no CAP_NET_RAW: it cannot send and receive frames",
    )


def test_ports_that_every_user_may_open_need_no_capability(computer: Computer):
    given = with_capabilities(computer, "0000000000002000").inputs(daemon_runs=True, daemon_process=7)
    computer.with_file("proc/sys/net/ipv4/ip_unprivileged_port_start", "0\n")

    assert [finding for finding in check_rights(given) if "BIND" in finding.sentence] == []


def test_a_process_that_cannot_be_read_is_not_checked(computer: Computer):
    with pytest.raises(NotCheckedError):
        list(check_rights(computer.inputs(daemon_runs=True, daemon_process=8)))


def test_the_capabilities_of_the_installed_unit_count_before_the_start(
    computer: Computer, monkeypatch: pytest.MonkeyPatch
):
    unit = (Path(__file__).parents[3] / "systemd/netboot.service").read_text()
    computer.with_file("units/netboot.service", unit.replace("AmbientCapabilities=CAP_NET_BIND_SERVICE\n", ""))
    monkeypatch.setenv("SYSTEMD_UNIT_PATH", str(computer.root / "units"))

    [finding] = check_rights(computer.inputs())

    assert finding.sentence.startswith("netboot.service has no CAP_NET_BIND_SERVICE")


def test_selinux_that_permits_all_is_no_finding(computer: Computer):
    computer.with_file("var/log/audit/audit.log", DENIED).with_file("sys/fs/selinux/enforce", "0")

    assert list(check_selinux(computer.inputs())) == []


def test_what_selinux_denied_the_daemon_is_a_warning_with_its_line(computer: Computer):
    other = DENIED.replace('comm="netboot"', 'comm="httpd"')
    computer.with_file("var/log/audit/audit.log", f"{DENIED}\n{other}\n").with_file("sys/fs/selinux/enforce", "1")

    [finding] = check_selinux(computer.inputs())

    assert (finding.level, finding.evidence) == (Level.WARNING, (DENIED,))


class LabelledFacts(BoxFacts):
    """A computer whose files have the label that a copy from root's home leaves."""

    def label(self, _path: Path) -> str | None:
        return "unconfined_u:object_r:admin_home_t:s0"


def test_a_program_with_the_label_of_a_home_cannot_be_started(computer: Computer, monkeypatch: pytest.MonkeyPatch):
    computer.with_file("units/netboot.service", "[Service]\nExecStart=/opt/netboot/bin/netboot serve\n")
    computer.with_file("sys/fs/selinux/enforce", "1").with_program("unused", "")
    monkeypatch.setenv("SYSTEMD_UNIT_PATH", str(computer.root / "units"))
    given = computer.inputs()
    object.__setattr__(given, "facts", LabelledFacts(computer.root))

    [finding] = check_selinux(given)

    assert finding.level is Level.PROBLEM
    assert "admin_home_t, which services may not run" in finding.sentence
    assert "semanage fcontext -a -t bin_t" in (finding.cure or "")
