"""With a receiver of logs, installer, scripts and first boot send theirs; without one nothing changes."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.kickstart_machine import REPORT, Machine, reports_answered_with

from netboot.ignition.check import read_ignition
from netboot.model.boot.offer import InspectPlan, InstallPlan, LocalBootPlan, ScriptLanguage, WaitPlan, WaitReason
from netboot.model.host.host import Host
from netboot.render.boot_script import autoexec, boot_script
from netboot.render.ignition import overlay
from netboot.render.kickstart import kickstart
from netboot.render.template_engine import Engine

TOKENS = {"report_token": REPORT, "ignition_token": "b" * 32}
LOG_URL = f"http://192.0.2.10:8080/report/{REPORT}/log"


@pytest.fixture
def with_logs(engine: Engine, cp1: Host, base_url: str) -> str:
    return kickstart(engine, cp1, mac=cp1.mac, base_url=base_url, log_port=514, **TOKENS)


def test_the_kickstart_that_sends_logs(with_logs: str, golden: Callable[[str, str], None]):
    golden("cp1-logs.ks", with_logs)


@pytest.mark.parametrize("version", ["RHEL8", "RHEL9", "RHEL10"])
def test_ksvalidator_accepts_the_kickstart_that_sends_logs(
    version: str, with_logs: str, tmp_path: Path, tool: Callable[[str], str]
):
    file = tmp_path / "node.ks"
    file.write_text(with_logs)

    judged = subprocess.run(
        [tool("ksvalidator"), "--version", version, "--firsterror", str(file)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (judged.returncode, judged.stderr) == (0, "")


@pytest.mark.integration
@pytest.mark.parametrize("shell", ["bash", "dash"])
@pytest.mark.parametrize("section", ["pre", "onerror"])
def test_a_script_sends_what_it_printed_at_its_end(section: str, shell: str, engine: Engine, cp1: Host, tmp_path: Path):
    machine = Machine(engine, cp1, shell, tmp_path)
    printed = tmp_path / f"netboot-{section}.log"
    with reports_answered_with(200) as server:
        document = kickstart(engine, cp1, mac=cp1.mac, base_url=server.url, log_port=514, **TOKENS)
        header, body = re.search(rf"^%{section}(.*)\n((?:.*\n)*?)%end$", document, re.MULTILINE).groups()  # type: ignore[union-attr]
        text = body.replace("/tmp/", f"{tmp_path}/").replace("/sys/", f"{tmp_path}/sys/")
        ended = machine.runs_text(f"exec >{printed} 2>&1\n{text.replace('/proc/', f'{tmp_path}/proc/')}")

    assert f"--log=/tmp/netboot-{section}.log" in header
    assert ended.returncode == (1 if section == "pre" else 0)
    [log] = [body.decode() for path, body in server.reports if path == f"/report/{REPORT}/log"]
    assert log.splitlines() == [f"netboot-{section}: {line}" for line in printed.read_text().splitlines()]
    assert (f"{cp1.disk} is not there" in log) == (section == "pre")


def test_every_ipxe_script_names_the_receiver_if_ipxe_can_reach_it(engine: Engine, cp1: Host, base_url: str):
    plans = [
        InstallPlan(cp1, "k" * 32, cp1.mac),
        InspectPlan(cp1.mac, "ol9", cp1, "k" * 32),
        LocalBootPlan(cp1.mac, cp1),
        WaitPlan(cp1.mac, WaitReason.NOT_READY, cp1),
    ]
    for port, has_it in ((514, True), (5514, False), (0, False)):
        scripts = [boot_script(engine, plan, ScriptLanguage.IPXE, base_url=base_url, log_port=port) for plan in plans]
        scripts.append(autoexec(engine, cp1.mac, base_url=base_url, log_port=port))
        assert [("\nset syslog 192.0.2.10 ||\n" in script) for script in scripts] == [has_it] * 5
        assert [f"inst.syslog=192.0.2.10:{port}" in script for script in scripts[:2]] == [port != 0] * 2


def test_the_overlay_has_a_unit_that_sends_the_journal(engine: Engine, cp1: Host, golden: Callable[[str, str], None]):
    assert cp1.ignition
    version = read_ignition(cp1.ignition.read_bytes()).version
    ready_url = LOG_URL.replace("/log", "/ready")
    documents = [
        json.loads(overlay(engine, cp1, version=version, ready_url=ready_url, log_url=log_url, mac=cp1.mac))
        for log_url in (None, LOG_URL)
    ]

    added_files, added_units = (
        [each for each in documents[1][part][kind] if each not in documents[0][part][kind]]
        for part, kind in (("storage", "files"), ("systemd", "units"))
    )
    golden("cp1-logs-overlay.json", json.dumps([added_files, added_units], indent=2) + "\n")
    assert read_ignition(json.dumps(documents[1]).encode()).problems == ()


_JOURNALCTL = """
case "$*" in
*s=3*) ;;
*s=2*) echo '{"__CURSOR" : "s=3", "MESSAGE" : "third"}' ;;
*) printf '%s\\n' '{"__CURSOR":"s=1","MESSAGE":"first"}' '{"__CURSOR":"s=2","MESSAGE":"second"}' ;;
esac
"""


@pytest.mark.integration
@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_journal_is_sent_once_in_batches_until_the_server_refuses(
    shell: str, engine: Engine, cp1: Host, tmp_path: Path
):
    machine = Machine(engine, cp1, shell, tmp_path)
    machine.has_tool("journalctl", _JOURNALCTL)
    machine.has_tool("systemctl", f'echo "$*" >>{tmp_path}/done')
    machine.has_tool("mktemp", f"echo {tmp_path}/batch")
    machine.has_tool("rm", f'echo "rm $*" >>{tmp_path}/done')
    with reports_answered_with(503, 200, 200, 404) as server:
        # the third batch is empty until the journal grows, while the script sleeps
        machine.write("grown", '#!/bin/sh\necho \'{"__CURSOR":"s=9"}\'\n')
        machine.has_tool("sleep", f"[ $1 != 2 ] || cat {tmp_path}/grown >{tmp_path}/bin/journalctl")
        context = {"host": cp1, "log_url": f"{server.url}/report/{REPORT}/log"}
        script = engine.render("ignition/send-journal.sh.j2", subject="cp1", context=context)
        ended = machine.runs_text(script)

    assert ended.returncode == 0, ended.stderr
    bodies = [body.decode() for _, body in server.reports]
    assert bodies[0] == bodies[1]  # after a 503 again
    assert [re.findall(r'"MESSAGE" ?: ?"(\w+)"', body) for body in bodies[1:3]] == [["first", "second"], ["third"]]
    assert machine.done[:2] == [
        "--no-reload disable netboot-journal.service",
        "rm -f /etc/systemd/system/netboot-journal.service /etc/netboot/send-journal",
    ]
