"""A Kickstart's script embeds the Ignition that the running daemon serves to it, and the first boot removes it."""

import gzip
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from fixtures.files import SETTINGS, write_files
from fixtures.rack import Machine, Rack, running, token_in
from fixtures.sysroot import Sysroot, initrds

from netboot.ignition.check import read_ignition
from netboot.ignition.resource import content_of
from netboot.render.embedded_ignition import ARCHIVE_NAME

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
W1 = ("52:54:00:12:34:56", "192.0.2.51")


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    (tmp_path / "box").mkdir()
    directory = write_files(tmp_path / "box", settings=f"{SETTINGS}install: {{ignition: embed}}\n")
    with running(directory) as rack:
        yield rack


@pytest.fixture
def sysroot(tmp_path: Path) -> Sysroot:
    return Sysroot.deployed(tmp_path / "sysroot", tmp_path / "tree")


def started(rack: Rack, machine: Machine) -> str:
    """Let a machine boot the installer up to its start; return its Kickstart."""
    rack.netboot("install", "arm", "cp1")
    machine.boots()
    kickstart = machine.get(f"/ks/{token_in(machine.script(), 'ks')}").body
    assert machine.report(token_in(kickstart, "report"), "started") == 200
    return kickstart


def play(rack: Rack, machine: Machine, script: str, sysroot: Sysroot) -> subprocess.CompletedProcess[str]:
    """Run a script on the machine, whose requests come from its address."""
    home = sysroot.directory.parent / "home"
    home.mkdir(exist_ok=True)
    (home / ".curlrc").write_text(f"interface = {machine.address}\n")
    environment = {"HOME": str(home), "ANA_INSTALL_PATH": str(sysroot.directory)}
    return subprocess.run(
        ["ip", "netns", "exec", rack.client_namespace, "bash", "-s"], check=False, capture_output=True, text=True,
        input=re.sub(r"/tmp/(?=netboot-|anaconda)", f"{home}/", script).replace("sleep 5", "sleep 0.1"),
        env=os.environ | environment, timeout=60,
    )  # fmt: skip


def sections(kickstart: str) -> list[str]:
    return re.findall(r"^%post.*\n((?:.*\n)*?)%end$", kickstart, re.MULTILINE)


def test_an_install_whose_first_boot_requests_no_ignition(rack: Rack, sysroot: Sysroot):
    cp1 = rack.machine(*CP1)
    embed, done = sections(started(rack, cp1))
    before = sysroot.loader_files

    ended = play(rack, cp1, embed, sysroot)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert play(rack, cp1, done, sysroot).returncode == 0

    [archive] = sysroot.archives
    assert [Path(each).name for each in initrds(sysroot.entries[0])][1:] == [ARCHIVE_NAME]
    unpacked = gzip.decompress(archive.read_bytes())
    document = read_ignition(unpacked[unpacked.index(b"{") : unpacked.rindex(b"}") + 1])
    role, overlay = (content_of(each) or b"" for each in document.config["ignition"]["config"]["merge"])
    assert role == (rack.directory / "ign/init.ign").read_bytes()
    assert rack.install("cp1")["state"] == "installed"

    [forget] = [each for each in json.loads(overlay)["storage"]["files"] if each["path"].endswith("/forget-ignition")]
    script = unquote(forget["contents"]["source"].removeprefix("data:,")).replace(" /boot", f" {sysroot.boot}")
    assert play(rack, cp1, script, sysroot).returncode == 0
    assert (sysroot.loader_files, sysroot.archives) == (before, [])
    assert cp1.report(token_in(overlay.decode(), "report"), "ready") == 200
    assert rack.install("cp1")["state"] == "ready"
    rack.wait_for_log("boot.ignition_embedded")
    assert "boot.ignition_served" not in rack.log


def test_an_archive_of_another_machine_is_refused(rack: Rack):
    cp1, w1 = rack.machine(*CP1), rack.machine(*W1)
    kickstart = started(rack, cp1)
    w1.boots()
    path = f"/ign/{token_in(kickstart, 'ign')}/archive"

    assert w1.get(path, "--head").status == 403
    rack.wait_for_log("boot.alarm_raised")
    served = cp1.get(path, "--head")
    assert served.status == 200
    assert "content-type: application/gzip" in served.headers.lower()
    assert re.search(r"(?m)^x-netboot-sha256: [0-9a-f]{64}$", served.headers.lower())
    assert cp1.report(token_in(kickstart, "report"), "done") == 200
    assert cp1.get(path, "--head").status == 404


def test_a_role_file_that_comes_late_is_awaited(rack: Rack, sysroot: Sysroot):
    cp1 = rack.machine(*CP1)
    [embed, _] = sections(started(rack, cp1))
    file = rack.directory / "ign/init.ign"
    late = file.rename(file.with_name("late"))
    waits = re.sub(r"sleep 5.*", f"mv {late} {file}", embed)

    ended = play(rack, cp1, waits, sysroot)

    assert (ended.returncode, len(sysroot.archives)) == (0, 1)
    rack.wait_for_log("boot.document_held_back")
