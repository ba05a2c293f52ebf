"""The scripts as golden files, and the rules that hold for each of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.script_plans import TOKEN, UNREGISTERED, every_plan, once_plans

from netboot.errors import RenderError
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, ScriptLanguage, WaitPlan, WaitReason
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.render.boot_script import autoexec, boot_script
from netboot.render.template_engine import Engine

# The commands of iPXE as of 2019 (Debian 12) that a script of ours may use; `label` stands for a `:label` line.
COMMANDS_OF_2019 = {
    "boot", "chain", "dhcp", "echo", "exit", "goto", "imgfree", "inc", "initrd", "iseq", "isset", "kernel", "label",
    "sanboot", "set", "sleep",
}  # fmt: skip


def commands_of(script: str) -> set[str]:
    """Name every command of a script: the first word of a line, and what follows || and &&."""
    found = set()
    for line in script.splitlines():
        if not line or line.startswith("#"):
            continue
        for part in line.replace("||", "\0").replace("&&", "\0").split("\0"):
            if word := part.split():
                found.add("label" if word[0].startswith(":") else word[0])
    return found


def test_the_install_script_of_each_host(host: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]):
    script = boot_script(engine, InstallPlan(host, TOKEN, host.macs[-1]), ScriptLanguage.IPXE, base_url=base_url)

    golden(f"{host.name}-install.ipxe", script)


@pytest.mark.parametrize("reason", WaitReason)
def test_the_waiting_script_for_each_reason(
    reason: WaitReason, cp1: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]
):
    known = None if reason is WaitReason.UNKNOWN_HOST else cp1
    plan = WaitPlan(cp1.mac if known else UNREGISTERED, reason, known)

    golden(f"wait-{reason}.ipxe", boot_script(engine, plan, ScriptLanguage.IPXE, base_url=base_url))


def test_the_script_to_the_own_disk(cp1: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]):
    golden("cp1-local.ipxe", boot_script(engine, LocalBootPlan(cp1.mac, cp1), ScriptLanguage.IPXE, base_url=base_url))


def test_the_scripts_of_what_a_machine_boots_once(
    cp1: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]
):
    for name, plan in once_plans(cp1).items():
        golden(f"{name}.ipxe", boot_script(engine, plan, ScriptLanguage.IPXE, base_url=base_url, log_port=514))


def test_every_script_begins_as_ipxe_wants_and_uses_only_commands_of_2019(host: Host, engine: Engine, base_url: str):
    for plan in every_plan(host):
        script = boot_script(engine, plan, ScriptLanguage.IPXE, base_url=base_url)

        assert script.startswith("#!ipxe\n")
        assert script.endswith("\n")
        assert script.isascii()
        assert commands_of(script) <= COMMANDS_OF_2019
        assert "next-server" not in script


def test_every_goto_has_its_label(host: Host, engine: Engine, base_url: str):
    for plan in every_plan(host):
        script = boot_script(engine, plan, ScriptLanguage.IPXE, base_url=base_url)
        labels = {line[1:] for line in script.splitlines() if line.startswith(":")}
        targets = {word for line in script.splitlines() for word in line.partition("goto ")[2].split()[:1]}

        assert targets <= labels


def test_no_script_but_the_one_to_the_disk_can_run_off_its_end(host: Host, engine: Engine, base_url: str):
    for plan in every_plan(host):
        if not isinstance(plan, LocalBootPlan):
            assert (
                boot_script(engine, plan, ScriptLanguage.IPXE, base_url=base_url).splitlines()[-1] == "goto ask_again"
            )


def test_a_kernel_argument_that_ipxe_would_expand_is_refused(cp1: Host, engine: Engine, base_url: str):
    faulty = replace(cp1, kernel_arguments=("a=${b}",))

    with pytest.raises(
        RenderError, match=r"cannot render ipxe for cp1: template ipxe/boot_kernel\.ipxe\.j2:\d+: iPXE has no"
    ):
        boot_script(engine, InstallPlan(faulty, TOKEN, cp1.mac), ScriptLanguage.IPXE, base_url=base_url)


def test_what_a_check_found_is_shown_without_what_ipxe_would_interpret(cp1: Host, engine: Engine, base_url: str):
    plan = WaitPlan(cp1.mac, WaitReason.CHECKS_FAILED, cp1, "sda2 is ${x} || reboot; see hosts.cp1.disk #")

    script = boot_script(engine, plan, ScriptLanguage.IPXE, base_url=base_url)

    assert "\necho netboot: sda2 is ??x? ?? reboot, see hosts.cp1.disk ?\n" in script
    assert "netboot install arm cp1" in script


@pytest.mark.parametrize("mac", [Mac.parse("52:54:00:aa:bb:01"), None])
def test_autoexec_leads_to_the_script_of_the_machine(engine: Engine, base_url: str, mac: Mac | None):
    script = autoexec(engine, mac, base_url=base_url)

    assert script.startswith("#!ipxe\n")
    assert f"{base_url}/boot/{mac.hyphenated if mac else '${mac:hexhyp}'}.ipxe" in script


def test_a_template_that_is_no_ipxe_script_is_refused(tmp_path: Path, base_url: str):
    (tmp_path / "ipxe").mkdir()
    (tmp_path / "ipxe" / "local.ipxe.j2").write_text("echo hello")

    with pytest.raises(RenderError, match=r"ipxe/local\.ipxe\.j2 does not begin with #!ipxe"):
        boot_script(Engine([tmp_path]), LocalBootPlan(UNREGISTERED, None), ScriptLanguage.IPXE, base_url=base_url)
