"""What a script prints fits a console of 80 columns, whatever the host is called."""

import re
from dataclasses import replace

import pytest

from netboot.model.boot.offer import InstallPlan, LocalBootPlan, ScriptLanguage, ScriptPlan, WaitPlan, WaitReason
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.host import Host, HostName
from netboot.model.host.mac import Mac
from netboot.render.boot_script import boot_script
from netboot.render.console_text import COLUMNS, columns
from netboot.render.template_engine import Engine

TOKEN = "0123456789abcdef0123456789abcdef"
MAC = Mac.parse("52:54:00:aa:bb:99")
BASE_URL = "http://192.0.2.10:8080"


def printed(engine: Engine, plan: ScriptPlan, language: ScriptLanguage) -> list[str]:
    """Return every line that a script can print, as far as it is known before."""
    script = boot_script(engine, plan, language, base_url=BASE_URL)
    lines = (re.fullmatch(r".*\becho '?(.*?)'?", line) for line in script.splitlines())
    return [found[1] for found in lines if found and "${" not in found[1]]


def banner(engine: Engine, plan: ScriptPlan, language: ScriptLanguage) -> list[str]:
    """Return what a script prints before it does anything."""
    lines = printed(engine, plan, language)
    return lines[: next(index for index, line in enumerate(lines) if "run there: " in line) + 1]


def plans(host: Host) -> list[ScriptPlan]:
    known: list[ScriptPlan] = [WaitPlan(host.mac, reason, host) for reason in WaitReason if reason != "unknown-host"]
    unknown: list[ScriptPlan] = [WaitPlan(MAC, WaitReason.UNKNOWN_HOST), LocalBootPlan(MAC, None)]
    return [InstallPlan(host, TOKEN, host.mac), LocalBootPlan(host.mac, host), *known, *unknown]


@pytest.mark.parametrize("language", ScriptLanguage)
def test_each_state_prints_who_it_is_what_happens_next_and_where_the_appliance_is(
    cp1: Host, engine: Engine, language: ScriptLanguage
):
    for plan in plans(cp1):
        text = " ".join(banner(engine, plan, language))

        assert plan.mac in text
        assert ("cp1" in text, "role control-plane" in text) == (plan.host is not None, plan.host is not None)
        assert "netboot: next: " in text
        assert f"netboot: appliance: {BASE_URL} netboot: run there: netboot " in text


@pytest.mark.parametrize("language", ScriptLanguage)
def test_no_line_is_longer_than_the_console(cp1: Host, engine: Engine, language: ScriptLanguage):
    long = replace(
        cp1,
        name=HostName("a" * 64),
        boot_media="m" * 64,
        release="r" * 64,
        disk=DiskRule(serial="s" * 64, model="m 1" * 20),
    )
    paths = replace(long, disk="/dev/disk/by-id/" + "d" * 230)

    for host in (long, paths):
        for plan in plans(host):
            lines = printed(engine, plan, language)

            assert max(map(len, lines)) <= COLUMNS
            assert all(line.isascii() for line in lines)


def test_a_line_never_begins_with_an_option():
    assert columns(["a " + "b" * 68 + " --discovered"]) == [f"netboot: a {'b' * 68}", "netboot: --discovered"]
