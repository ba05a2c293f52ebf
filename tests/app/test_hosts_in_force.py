"""The warnings of a reload that removes hosts."""

from structlog.testing import capture_logs

from netboot.app.hosts_in_force import warn_of_removed
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac

CURE = "; if that is a mistake, restore the hosts files and reload"


def hosts(*numbers: int) -> HostSet:
    return HostSet.of(
        Cluster("rackone", None),
        [Host(HostName(f"w{n:02}"), Role.WORKER, (Mac.parse(f"52:54:00:00:00:{n:02}"),)) for n in numbers],
    )


def test_a_reload_that_removes_all_hosts_names_them():
    with capture_logs() as logged:
        warnings = warn_of_removed(hosts(*range(1, 14)), hosts(), disarmed=[])

    names = ", ".join(f"w{n:02}" for n in range(1, 11))
    assert warnings == [f"no host is declared any longer; removed: {names} and 3 more{CURE}"]
    assert logged == [{"event": "config.hosts_removed", "log_level": "warning", "reason": warnings[0]}]


def test_a_reload_that_removes_armed_hosts_names_them():
    warnings = warn_of_removed(hosts(1, 2, 3, 4), hosts(2, 4), disarmed=[HostName("w03"), HostName("w04")])

    assert warnings == [f"armed hosts are no longer declared, so their armings ended: w03{CURE}"]


def test_other_removals_and_a_start_without_hosts_are_no_warning():
    assert warn_of_removed(hosts(1, 2), hosts(2), disarmed=[HostName("w02")]) == []
    assert warn_of_removed(hosts(), hosts(), disarmed=[]) == []
    assert warn_of_removed(hosts(), hosts(1), disarmed=[]) == []
