"""What `netboot check` and `netboot plan` print of one configuration."""

from fixtures.command_line import CommandLine

NO_DISK = (
    "./hosts.yaml:8:3: hosts.w1: cannot render kickstart for w1: template kickstart/node.ks.j2:26 "
    "uses undefined 'disk'; set hosts.w1.disk"
)
LOADERS = {"x64 UEFI, PXE": "snponly.efi", "x64 UEFI, HTTP": "snponly.efi"}


def test_check_prints_loaders_problems_and_the_verdict(netboot: CommandLine):
    done = netboot("check")

    lines = done.stdout.replace(str(netboot.directory), ".").splitlines()
    assert (done.exit_code, lines[0], lines[2], lines[-2:]) == (
        1,
        "boot loaders:",
        "  x64 UEFI, PXE     snponly.efi (./boot/snponly.efi)",
        ["", "2 hosts checked, 1 problem"],
    )
    assert done.stderr.replace(str(netboot.directory), ".") == f"{NO_DISK}\n"


def test_check_as_json_has_the_same_and_the_loader_of_each_architecture(netboot: CommandLine):
    found = netboot.json("check", status=1)

    assert found.pop("notes")[0].startswith("./content is read-only for netboot.service")
    loaders = {line["architecture"]: line["loader"] for line in found.pop("loaders") if line["loader"]}
    assert loaders == LOADERS
    assert found == {"ok": False, "problems": [NO_DISK], "warnings": [], "faults": []}


def test_a_faulty_hosts_file_leaves_the_sound_hosts_to_be_checked(netboot: CommandLine):
    netboot.hosts.write_text(netboot.hosts.read_text().replace("role: worker,", "rol: worker,"))

    found = netboot.json("check", status=2)

    assert ([fault["where"] for fault in found["faults"]], found["problems"]) == (
        ["hosts.w1.rol"],
        [],
    )


def test_faulty_settings_are_the_only_result_of_a_check(netboot: CommandLine):
    netboot.config.write_text("stor: {}\n")

    found = netboot.json("check", status=2)

    assert [fault["where"] for fault in found.pop("faults")] == ["stor"]
    assert found == {"ok": False, "problems": [], "warnings": [], "notes": [], "loaders": []}


def test_a_reason_that_several_hosts_share_is_printed_once(netboot: CommandLine):
    netboot.hosts.write_text(netboot.hosts.read_text().replace("ock-1.31-amd64", "ock-1.32-amd64"))

    found = netboot.json("check", status=1)

    (shared,) = [problem for problem in found["problems"] if "ock-1.32-amd64" in problem]
    assert shared.startswith("./hosts.yaml:7:3: hosts.cp1: ")
    assert shared.endswith(" (also w1)")


def test_a_broken_template_is_reported_for_one_machine(netboot: CommandLine):
    templates = netboot.directory / "templates" / "ipxe"
    templates.mkdir(parents=True)
    (templates / "local.ipxe.j2").write_text("#!ipxe\n{{ nothing }}\n")
    netboot.config.write_text(netboot.config.read_text() + "render: {templates: [templates]}\n")

    problems = netboot.json("check", status=1)["problems"]

    assert [problem for problem in problems if "nothing" in problem and "02:00:00:00:00:02" in problem] == []
    assert any("an unregistered machine" in problem for problem in problems)


def test_plan_prints_offers_script_kickstart_and_ignition_without_secrets(netboot: CommandLine):
    printed = netboot.printed("plan", "cp1")
    planned = netboot.json("plan")

    assert printed.splitlines()[:6] == [
        "── cp1, once armed",
        "  BIOS, PXE               no answer: no-loader-for-arch",
        "  UEFI x64, PXE           loader snponly.efi",
        "  UEFI x64, HTTP boot     loader snponly.efi",
        "  UEFI arm64, PXE         no answer: no-loader-for-arch",
        "  UEFI arm64, HTTP boot   no answer: no-loader-for-arch",
    ]
    assert [line for line in printed.splitlines() if line.startswith("── cp1: ")] == [
        "── cp1: script",
        "── cp1: script, unarmed",
        "── cp1: grub",
        "── cp1: grub, unarmed",
        "── cp1: kernel lines",
        "── cp1: kickstart",
        "── cp1: ignition wrapper",
        "── cp1: ignition role",
        "── cp1: ignition overlay",
        "── cp1: ignition merged",
    ]
    assert planned["cp1"]["script"].startswith("#!ipxe\n")
    assert "/etc/kubernetes/pki/ca.key" in printed
    assert planned["cp1"]["ignition"]["role"].count('"source": "hidden, ') == 4
    assert netboot.json("plan", "cp1", "--show-secrets")["cp1"]["ignition"]["role"].startswith("{")


def test_plan_shows_why_a_document_cannot_be_rendered(netboot: CommandLine):
    netboot.hosts.write_text("hosts: {w1: {role: worker, mac: '02:00:00:00:00:02', disk: /dev/vda}}\n")

    planned = netboot.json("plan", "w1")["w1"]

    assert planned["kickstart"] == "# w1 has no release to install; set hosts.w1.release"
    assert planned["script"].startswith("# cannot render the installer's kernel line for w1: it has no boot medium; ")
    assert planned["ignition"]["error"].startswith("w1 has no Ignition file; ")


def test_a_command_of_the_cluster_that_cannot_be_run_is_a_problem(netboot: CommandLine):
    commands = "{start: [/nonexistent/ocne, cluster, start], ready: [/bin/true]}"
    netboot.config.write_text(netboot.config.read_text() + f"cluster: {{commands: {commands}}}\n")

    problems = netboot.json("check", status=1)["problems"]

    assert [each for each in problems if "cluster.commands" in each] == [
        "cluster.commands.start: there is no program /nonexistent/ocne; install it, or correct cluster.commands.start "
        "in netboot.yaml and systemctl restart netboot"
    ]
