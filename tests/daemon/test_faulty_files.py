"""One faulty file stops no machine: the accepted hosts stay in force after a restart, and the fault is reported."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.files import HOSTS, SETTINGS
from fixtures.rack import Rack, running
from scapy.layers.dhcp import BOOTP, DHCP

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
W7 = ("52:54:00:aa:bb:17", "192.0.2.57")
W7_FILE = "hosts: {w7: {role: worker, mac: 52:54:00:aa:bb:17}}\n"


def problems(rack: Rack) -> list[str]:
    found: list[str] = rack.api("/api/v1/status")["problems"]
    return found


def gets_a_loader(rack: Rack, machine: tuple[str, str]) -> bool:
    answer = rack.machine(*machine).discover()
    return answer is not None and answer[BOOTP].file.startswith(b"snponly.efi\0")


def gets_its_own_disk(rack: Rack, machine: tuple[str, str]) -> bool:
    answer = rack.machine(*machine).discover()
    return answer is not None and DHCP in answer and not answer[BOOTP].file.strip(b"\0")


def unreadable(directory: Path) -> None:
    (directory / "hosts.d" / "w7.yaml").unlink()
    (directory / "hosts.d" / "w7.yaml").symlink_to("nowhere")  # root reads a file of mode 0600


def typo(directory: Path) -> None:
    (directory / "hosts.d" / "w7.yaml").write_text(W7_FILE.replace("worker", "wroker"))


def cut(directory: Path) -> None:
    (directory / "hosts.d" / "w7.yaml").write_text(W7_FILE[:-3])


@pytest.fixture
def with_w7(rack_directory: Path) -> Path:
    (rack_directory / "netboot.yaml").write_text(
        SETTINGS.replace("[hosts.yaml]", "[hosts.yaml, hosts.d], unknown: wait")
    )
    (rack_directory / "hosts.d").mkdir()
    (rack_directory / "hosts.d" / "w7.yaml").write_text(W7_FILE)
    return rack_directory


@pytest.mark.parametrize("spoil", [unreadable, typo, cut])
def test_hosts_that_were_accepted_stay_in_force_over_a_restart(with_w7: Path, spoil: Callable[[Path], None]):
    with running(with_w7) as rack:
        rack.netboot("install", "arm", "cp1")
        rack.netboot("install", "arm", "w7")
        spoil(with_w7)
        rack.kill()
        rack.start()

        (fault,) = problems(rack)
        assert "w7.yaml" in fault
        assert (gets_a_loader(rack, CP1), gets_a_loader(rack, W7)) == (True, True)
        assert [line["problem"] for line in rack.lines("config.rejected")] == [fault]
        assert [line["hosts"] for line in rack.lines("config.last_accepted_used")] == [3]
        rack.netboot("check", status=2)
        (with_w7 / "hosts.d" / "w7.yaml").unlink()
        (with_w7 / "hosts.d" / "w7.yaml").write_text(W7_FILE)
        rack.api("/api/v1/reload", "-X", "POST")
        assert problems(rack) == []


@pytest.mark.parametrize("spoil", [unreadable, typo, cut])
def test_a_first_start_leaves_the_faulty_host_out_and_its_machine_boots_its_own_disk(
    with_w7: Path, spoil: Callable[[Path], None]
):
    spoil(with_w7)
    with running(with_w7) as rack:
        rack.netboot("install", "arm", "cp1")
        w7 = rack.machine(*W7)

        assert gets_a_loader(rack, CP1)
        assert spoil is unreadable or gets_its_own_disk(
            rack, W7
        )  # the MACs of a file that cannot be read are not known
        assert "wait" not in w7.script()
        assert "exit" in w7.script()
        assert len(problems(rack)) == 1
        assert len(rack.lines("config.hosts_left_out")) == 1


def test_what_is_missing_holds_its_hosts_back_and_the_others_are_served(with_w7: Path):
    w8 = "hosts: {w8: {role: control-plane, mac: 52:54:00:aa:bb:18"
    (with_w7 / "hosts.d" / "w8.yaml").write_text(f"{w8}}}}}\n")
    with running(with_w7) as rack:
        for host in ("cp1", "w7", "w8"):
            rack.netboot("install", "arm", host)
        (with_w7 / "ign" / "worker-join.ign").unlink()
        (with_w7 / "hosts.d" / "w8.yaml").write_text(f"{w8}, loader: foo.efi}}}}\n")
        rack.kill()
        rack.start()
        machines = [rack.machine(*CP1), rack.machine(*W7), rack.machine("52:54:00:aa:bb:18", "192.0.2.58")]
        for machine in machines:
            machine.boots()
        scripts = [machine.script() for machine in machines]

        assert ["/ks/" in script for script in scripts] == [True, False, False]
        assert "w7 waits: its installer cannot be served now" in scripts[1]
        assert [fault.partition(": ")[2][:29] for fault in problems(rack)] == ["hosts.w8.loader: there is no "]
        reasons = {line["host"]: line["reason"] for line in rack.lines("boot.script_held_back")}
        assert "worker-join.ign" in reasons["w7"]
        assert "hosts.w8.loader: there is no foo.efi" in reasons["w8"]


def test_an_ignition_file_with_wrong_content_holds_back_its_hosts_of_the_accepted_set(with_w7: Path):
    with running(with_w7) as rack:
        for host in ("cp1", "w7"):
            rack.netboot("install", "arm", host)
        (with_w7 / "ign" / "worker-join.ign").write_text("<html>")
        rack.kill()
        rack.start()
        machines = [rack.machine(*CP1), rack.machine(*W7)]
        for machine in machines:
            machine.boots()

        assert ["/ks/" in machine.script() for machine in machines] == [True, False]
        (fault,) = problems(rack)
        assert "worker-join.ign:1:1: is not JSON" in fault


def test_without_any_hosts_file_the_daemon_starts_and_says_so(rack_directory: Path):
    (rack_directory / "hosts.yaml").unlink()
    with running(rack_directory) as rack:
        (fault,) = problems(rack)
        assert "hosts.yaml is not there" in fault
        (rack_directory / "hosts.yaml").write_text(HOSTS)
        rack.api("/api/v1/reload", "-X", "POST")
        assert problems(rack) == []


def test_only_a_fault_of_netboot_yaml_stops_the_start(rack_directory: Path):
    (rack_directory / "netboot.yaml").write_text(SETTINGS + "htpp: {}\n")
    with running(rack_directory, starts=False) as rack:
        rack.launch()

        assert rack.wait() == 2
        assert "htpp: no such setting; did you mean http?" in rack.log


def test_a_command_without_a_daemon_uses_the_hosts_that_were_accepted(with_w7: Path):
    with running(with_w7) as rack:
        rack.netboot("install", "arm", "w7")
        rack.kill()
        typo(with_w7)

        said = rack.netboot("install", "cancel", "w7")
        assert "no such role 'wroker'" in said
        assert '"armed": false' in rack.netboot("install", "show", "w7", "--json")
