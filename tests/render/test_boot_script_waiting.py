"""A script that waits can be requested by any machine on the LAN."""

from dataclasses import replace

import pytest

from netboot.content.assets import assets_directory
from netboot.model.boot.offer import ScriptLanguage, WaitPlan, WaitReason
from netboot.model.host.host import Host
from netboot.render.boot_script import boot_script
from netboot.render.template_engine import Engine

ARGUMENTS = ("console=ttyS0", "rd.iscsi.password=hunter2", "site.code=4711", "quiet", "s3cret-WORD")


@pytest.mark.parametrize("reason", WaitReason)
@pytest.mark.parametrize("language", ScriptLanguage)
def test_a_script_that_any_machine_can_read_has_no_value_of_the_hosts_own_arguments(
    cp1: Host, reason: WaitReason, language: ScriptLanguage
):
    host = replace(cp1, kernel_arguments=ARGUMENTS)

    script = boot_script(
        Engine([assets_directory() / "templates"]),
        WaitPlan(host.mac, reason, host),
        language,
        base_url="http://192.0.2.10:8080",
    )

    assert [secret for secret in ("hunter2", "4711", "s3cret-WORD") if secret in script] == []
    if reason is WaitReason.NOT_ANNOUNCED and language is ScriptLanguage.IPXE:
        assert " console=ttyS0 rd.iscsi.password=hidden site.code=hidden quiet hidden\n" in script
