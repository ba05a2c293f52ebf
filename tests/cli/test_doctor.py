"""What `netboot doctor` prints of one configuration, and its exit codes."""

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
