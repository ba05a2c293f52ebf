"""systemd's own tools verify the unit, the user and the directories; the unit has a comment for each setting."""

import re
import subprocess
from pathlib import Path

import pytest

from netboot.app.listeners import DRAIN_S

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
UNIT = (SYSTEMD / "netboot.service").read_text()
MOST_WITH_ONE_COMMENT = 6


def settings_of(unit: str) -> dict[str, list[str]]:
    """Gather the values of each key in the order of the file."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.integration
def test_systemd_analyze_finds_no_fault(tmp_path: Path):
    # It requires that the program exists; nothing else of the unit is changed.
    file = tmp_path / "netboot.service"
    file.write_text(UNIT.replace("/opt/netboot/bin/netboot", "/bin/true"))

    verified = run("systemd-analyze", "verify", "--man=no", str(file))

    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@pytest.mark.integration
def test_the_exposure_is_what_the_network_needs_and_no_more():
    judged = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(SYSTEMD / "netboot.service"))

    exposed = {line.split()[1] for line in judged.stdout.splitlines() if line.startswith("\N{BALLOT X}")}
    overall = re.search(r"Overall exposure level for netboot.service: ([0-9.]+)", judged.stdout)
    assert overall is not None, judged.stdout + judged.stderr
    assert float(overall[1]) <= 1.7
    assert exposed == {
        "AmbientCapabilities=",
        "CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)",
        "DeviceAllow=",  # char-rtc, by which ProtectClock= makes the clock readable
        "IPAddressDeny=",
        "PrivateNetwork=",
        "PrivateUsers=",
        "ProcSubset=",  # ostree reads /proc/sys/kernel/random/boot_id
        "RestrictAddressFamilies=~AF_(INET|INET6)",
        "RestrictAddressFamilies=~AF_NETLINK",
        "RestrictAddressFamilies=~AF_PACKET",
        "RestrictAddressFamilies=~AF_UNIX",
        "SystemCallFilter=~@resources",  # setpriority and ioprio_set of imports, deltas and the scrub
        "RootDirectory=/RootImage=",
        "UMask=",
    }


def test_a_daemon_that_crashes_is_restarted_for_ever_and_one_with_a_wrong_configuration_is_not():
    settings = settings_of(UNIT)

    keys = ("Type", "WatchdogSec", "Restart", "RestartSec", "RestartPreventExitStatus", "StartLimitIntervalSec")
    assert [settings[key] for key in keys] == [["notify"], ["60"], ["on-failure"], ["2"], ["2"], ["0"]]
    assert int(settings["TimeoutStopSec"][0]) > 2 * DRAIN_S
    assert set(settings) >= {"TimeoutStartSec", "TimeoutAbortSec", "OOMPolicy"}


def test_the_service_has_two_capabilities_and_no_more():
    settings = settings_of(UNIT)

    assert set(" ".join(settings["AmbientCapabilities"]).split()) == {"CAP_NET_BIND_SERVICE", "CAP_NET_RAW"}
    assert set(settings["CapabilityBoundingSet"][0].split()) == {"CAP_NET_BIND_SERVICE", "CAP_NET_RAW"}


def test_a_reload_that_the_daemon_rejects_fails():
    assert settings_of(UNIT)["ExecReload"] == ["/opt/netboot/bin/netboot reload"]


def test_of_the_configuration_only_what_commands_write_is_writable():
    settings = settings_of(UNIT)

    writable = ["-/etc/netboot/hosts.d -/etc/netboot/ign -/etc/netboot/bmc.d"]
    assert (settings["ProtectSystem"], settings["ReadWritePaths"]) == (["strict"], writable)


def test_a_comment_stands_above_every_few_settings():
    body = UNIT.partition("[Service]\n")[2].partition("[Install]")[0]
    groups = re.split(r"^(?!\w+=)", body, flags=re.MULTILINE)  # each begins with a line that is no setting
    settings = [group.splitlines() for group in groups if re.search(r"^\w+=", group, re.MULTILINE)]

    assert len(settings) > 20
    assert [group for group in settings if not group[0].startswith("#") or len(group) > 1 + MOST_WITH_ONE_COMMENT] == []


@pytest.mark.integration
def test_systemd_sysusers_makes_a_user_that_cannot_log_in(tmp_path: Path):
    (tmp_path / "etc").mkdir()

    made = run("systemd-sysusers", f"--root={tmp_path}", "--replace=/etc/sysusers.d/netboot.conf",
               str(SYSTEMD / "netboot.sysusers.conf"))  # fmt: skip

    assert made.returncode == 0, made.stderr
    (user,) = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines() if "netboot" in line]
    assert (user[0], user[5], user[6]) == ("netboot", "/var/lib/netboot", "/usr/sbin/nologin")


def test_every_directory_is_closed_to_others():
    lines = [line.split() for line in (SYSTEMD / "netboot.tmpfiles.conf").read_text().splitlines() if line[:2] == "d "]

    credentials = ["d", "/etc/netboot/credentials", "0700", "root", "root"]  # read by systemd alone
    lines.remove(credentials)
    lines.remove(["d", "/etc/netboot/bmc.d", "0700", "netboot", "netboot"])  # of the daemon alone
    assert {line[2] for line in lines} == {"0750", "0770"}
    assert {line[1] for line in lines if line[2] == "0770"} == {"/etc/netboot/hosts.d", "/etc/netboot/ign"}
    assert {tuple(line[3:]) for line in lines if line[1].startswith("/etc/")} == {("root", "netboot")}
    assert {tuple(line[3:]) for line in lines if line[1].startswith("/var/")} == {("netboot", "netboot")}
