"""What `netboot doctor` prints of one configuration, and its exit codes."""

import json

import pytest
from fixtures.command_line import CommandLine

NO_DISK = (
    "./hosts.yaml:8:3: hosts.w1: cannot render kickstart for w1: template kickstart/node.ks.j2:26 uses undefined 'disk'"
)
DISK = '"02:00:00:00:00:02"'


def test_a_finding_has_its_check_its_cure_and_the_verdict_is_the_last_line(netboot: CommandLine):
    lines = netboot.printed("doctor", "--area", "configuration", status=1).splitlines()

    assert lines[:3] == [
        "configuration",
        f"  problem: {NO_DISK} [configuration.hosts]",
        "    cure: set hosts.w1.disk",
    ]
    assert any(line.startswith("  checked: files, addresses, access") for line in lines)
    assert lines[-2:] == ["", "1 problem would stop a boot"]


def test_json_has_the_same_for_each_area(netboot: CommandLine):
    found = netboot.json("doctor", "--area", "configuration", status=1)

    [area] = found.pop("areas")
    problems = [finding for finding in area["findings"] if finding["level"] == "problem"]
    assert found == {"ok": False, "verdict": "1 problem would stop a boot"}
    assert [problem["cure"] for problem in problems] == ["set hosts.w1.disk"]
    assert problems[0]["sentence"].endswith("hosts.yaml:8:3: " + NO_DISK.partition(":8:3: ")[2])
    assert "configuration.store" in area["checked"]


def test_what_the_area_box_reports_is_not_repeated_by_the_configuration(netboot: CommandLine):
    netboot.config.write_text(netboot.config.read_text().replace("[lo]", "[nosuch0]", 1))

    found = netboot.json("doctor", "--area", "box", "--area", "configuration", status=1)

    checks = [
        finding["check"] for area in found["areas"] for finding in area["findings"] if "nosuch0" in finding["sentence"]
    ]
    assert checks == ["box.listening"]


def test_a_faulty_hosts_file_is_exit_code_2(netboot: CommandLine):
    netboot.hosts.write_text(netboot.hosts.read_text().replace("role: worker,", "rol: worker,"))

    found = netboot.json("doctor", "--area", "configuration", status=2)

    [fault, *_] = found["areas"][0]["findings"]
    assert (fault["check"], fault["level"]) == ("configuration.files", "problem")
    assert "hosts.w1.rol" in fault["sentence"]


def test_without_settings_no_other_area_is_examined(netboot: CommandLine):
    netboot.config.write_text("stor: {}\n")

    found = netboot.json("doctor", status=2)

    assert {area["area"]: area["not_checked"] for area in found["areas"]}["box"] == {
        "box": "the settings cannot be read: netboot check"
    }
    assert found["verdict"] == "1 problem would stop a boot"


def test_a_sound_configuration_is_exit_code_0(netboot: CommandLine):
    netboot.hosts.write_text(netboot.hosts.read_text().replace(DISK, f"{DISK}, disk: /dev/disk/by-id/ata-2"))

    assert netboot.printed("doctor", "--area", "configuration").splitlines()[-1] == (
        "nothing was found that would stop a boot"
    )


def test_before_there_is_a_settings_file_this_computer_is_examined_with_the_defaults(netboot: CommandLine):
    netboot.config.unlink()

    found = netboot.json("doctor", "--area", "box", "--area", "content", "--area", "configuration", status=2)

    areas = {area["area"]: area for area in found["areas"]}
    assert {"box.clock", "box.disks", "box.kernel"} <= {*areas["box"]["checked"]}
    assert areas["box"]["not_checked"]["box.firewall"] == (
        "network.interfaces names no interface, and no --interface was given"
    )
    assert "content.loaders" in areas["content"]["checked"]
    assert areas["configuration"]["findings"][0]["sentence"].endswith("cannot be read (No such file or directory)")


def test_before_there_is_a_settings_file_a_named_interface_is_examined(netboot: CommandLine):
    netboot.config.unlink()

    [box] = json.loads(netboot("doctor", "--area", "box", "--interface", "nosuch0", "--json").stdout)["areas"]

    assert any("this appliance has no interface nosuch0" in finding["sentence"] for finding in box["findings"])
    assert "box.firewall" in box["checked"]


@pytest.mark.parametrize("settings", ["stor: {}\n", None])
def test_a_host_is_not_judged_without_settings_and_their_fault_is_reported(netboot: CommandLine, settings: str | None):
    if settings is None:
        netboot.config.unlink()
    else:
        netboot.config.write_text(settings)

    found = netboot.json("doctor", "--host", "w1", status=2)

    assert [area["area"] for area in found["areas"]] == ["configuration", "host"]
    assert (found["ok"], found["verdict"]) == (False, "1 problem would stop a boot")


@pytest.mark.parametrize("option", [("--host", "w1"), ("--area", "box"), ("--verify",)])
def test_listening_examines_nothing(netboot: CommandLine, option: tuple[str, ...]):
    done = netboot("doctor", "--listen", *option)

    assert done.exit_code == 2
    assert "leave out --area, --host and --verify" in done.output
