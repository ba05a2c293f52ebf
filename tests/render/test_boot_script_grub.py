"""GRUB's script has the same commands as iPXE's; `grub-script-check` verifies every file."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.script_plans import TOKEN, UNREGISTERED, every_plan, once_plans

from netboot.errors import RenderError
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, ScriptLanguage, WaitPlan, WaitReason
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.render.boot_script import boot_script
from netboot.render.template_engine import Engine


def test_the_install_configuration_of_each_host(
    host: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]
):
    golden(
        f"{host.name}-install-grub.cfg",
        boot_script(engine, InstallPlan(host, TOKEN, host.macs[-1]), ScriptLanguage.GRUB, base_url=base_url),
    )


@pytest.mark.parametrize("reason", WaitReason)
def test_the_waiting_configuration_for_each_reason(
    reason: WaitReason, cp1: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]
):
    plan = WaitPlan(UNREGISTERED, reason) if reason is WaitReason.UNKNOWN_HOST else WaitPlan(cp1.mac, reason, cp1)

    golden(f"wait-{reason}-grub.cfg", boot_script(engine, plan, ScriptLanguage.GRUB, base_url=base_url))


def test_the_configuration_to_the_own_disk(
    cp1: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]
):
    golden(
        "cp1-local-grub.cfg", boot_script(engine, LocalBootPlan(cp1.mac, cp1), ScriptLanguage.GRUB, base_url=base_url)
    )


def test_the_configurations_of_what_a_machine_boots_once(
    cp1: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]
):
    for name, plan in once_plans(cp1).items():
        golden(f"{name}-grub.cfg", boot_script(engine, plan, ScriptLanguage.GRUB, base_url=base_url))


def test_grub_can_read_every_configuration(host: Host, engine: Engine, base_url: str, tool: Callable[[str], str]):
    for plan in every_plan(host):
        text = boot_script(engine, plan, ScriptLanguage.GRUB, base_url=base_url)
        judged = subprocess.run(
            [tool("grub-script-check")], check=False, input=text, capture_output=True, text=True, timeout=10
        )

        assert (judged.returncode, judged.stderr) == (0, "")


def test_what_a_check_found_is_printed_whatever_it_contains(
    cp1: Host, engine: Engine, base_url: str, tool: Callable[[str], str]
):
    found = "sda2 is '$x' `y` \"z\"; reboot #\\"
    text = boot_script(
        engine, WaitPlan(cp1.mac, WaitReason.CHECKS_FAILED, cp1, found), ScriptLanguage.GRUB, base_url=base_url
    )

    judged = subprocess.run(
        [tool("grub-script-check")], check=False, input=text, capture_output=True, text=True, timeout=10
    )
    assert (judged.returncode, judged.stderr) == (0, "")
    assert "echo 'netboot: sda2 is '\\''?x'\\'' ?y? \"z\", reboot ??'\n" in text


def test_an_empty_template_is_refused(tmp_path: Path, base_url: str):
    (tmp_path / "grub").mkdir()
    (tmp_path / "grub" / "local.cfg.j2").write_text("\n")
    plan = LocalBootPlan(Mac.parse("52:54:00:aa:bb:99"), None)

    with pytest.raises(RenderError, match=r"template grub/local\.cfg\.j2 is empty"):
        boot_script(Engine([tmp_path]), plan, ScriptLanguage.GRUB, base_url=base_url)
