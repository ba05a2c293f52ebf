"""An arming is spent against a running daemon: from the kernel line to ready, and what stops an install."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS, write_files
from fixtures.rack import Rack, running

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError

from .conftest import Firmware, PlayedMachine, armed

pytestmark = pytest.mark.integration
VALIDATE = "/usr/lib/dracut/modules.d/30ignition/ignition-validate"


def replace_content(rack: Rack, file: Path, content: bytes) -> None:
    """Write a file of the release; the daemon forgets the bytes that it has served."""
    file.write_bytes(content)
    rack.api("/api/v1/content/rescan", "-X", "POST")


def validated(config: dict[str, object], directory: Path) -> str:
    """Return what Debian's ignition-validate finds in a configuration (2.14: 3.4.0 is experimental)."""
    file = directory / "merged.ign"
    file.write_bytes(json.dumps(config).encode().replace(b'"3.4.0"', b'"3.4.0-experimental"'))
    program = shutil.which("ignition-validate") or VALIDATE
    return subprocess.run([program, str(file)], check=False, capture_output=True, text=True, timeout=20).stderr


def test_an_install_from_its_kernel_to_ready(rack: Rack, cp1: PlayedMachine, tmp_path: Path):
    kernel = cp1.kernel()
    installed = cp1.installs(kernel)
    first = cp1.starts(installed)

    assert first is not None
    assert (installed.ended_at, first.ended_at, first.notes) == (Step.INSTALLED, Step.READY, ())
    assert rack.install("cp1")["state"] == "ready"
    assert [each["result"] for each in rack.install("cp1")["checks"]].count("fail") == 0
    assert installed.release is not None
    assert installed.release.objects == len(list(rack.directory.glob("content/ostree/*/objects/*/*")))
    assert "/etc/netboot/report-ready" in [file["path"] for file in first.config["storage"]["files"]]
    assert validated(first.config, tmp_path) == ""
    steps = list(dict.fromkeys(event.step for event in cp1.timeline.events))
    assert steps == [
        *(Step.KICKSTART, Step.STAGE2, Step.CHECKS, Step.INSTALLING, Step.OSTREE, Step.POST, Step.INSTALLED),
        *(Step.IGNITION, Step.READY),
    ]
    shown = "\n".join((*cp1.texts, repr(installed), repr(first)))
    assert "second request: refused (HTTP 404)" in shown
    assert re.findall(r"[0-9a-f]{32}", shown.replace(installed.release.commit, "")) == []

    with pytest.raises(BootFailedError, match="returned error: 404") as spent:
        cp1.installs(kernel)
    with pytest.raises(BootFailedError, match="non-OK status 404"):
        cp1.starts(installed)
    assert spent.value.step is Step.KICKSTART


def test_without_spending_nothing_with_a_token_is_requested(rack: Rack, cp1: PlayedMachine):
    plan = rack.api("/api/v1/hosts/cp1/plan")
    kernel = cp1.kernel()
    before = rack.install("cp1")
    unchanged = {name: before[name] for name in ("state", "armed", "arming", "checks")}

    installed = cp1.installs(kernel, spends=False, kickstart=plan["kickstart"])
    first = cp1.starts(installed, spends=False, planned_ignition=plan["ignition"]["merged"])

    assert installed.release is not None
    assert installed.ended_at is Step.INSTALLED
    assert first is not None
    assert first.ended_at is Step.IGNITION
    assert unchanged.items() <= rack.install("cp1").items()
    assert cp1.installs(kernel, spends=False).ended_at is Step.STAGE2
    assert cp1.starts(installed, spends=False) is None


def test_a_bios_machine_is_refused_and_a_damaged_release_is_reported(rack: Rack, cp1: PlayedMachine):
    cp1.profile = Firmware(arch=0)
    with pytest.raises(BootFailedError, match="OCK boots by UEFI only") as refused:
        cp1.installs(cp1.kernel())
    reported = rack.install("cp1")
    assert (refused.value.step, reported["state"]) == (Step.CHECKS, "failed")
    assert reported["checks"][0]["result"] == "fail"

    damaged = max(rack.directory.glob("content/ostree/*/objects/*/*.filez"), key=lambda path: path.stat().st_size)
    sound = damaged.read_bytes()
    replace_content(rack, damaged, sound[:-3])
    again = armed(rack)
    with pytest.raises(BootFailedError, match="it is cut off in its content") as failed:
        again.installs(again.kernel())
    replace_content(rack, damaged, sound)
    assert (failed.value.step, rack.install("cp1")["state"]) == (Step.OSTREE, "failed")
    assert "the installer stopped: Anaconda stops with" in rack.install("cp1")["reason"]


def test_it_ends_after_the_step_that_is_requested(rack: Rack, cp1: PlayedMachine):
    kernel = cp1.kernel()

    assert cp1.installs(kernel, until=Step.KICKSTART).ended_at is Step.KICKSTART
    assert cp1.installs(kernel, until=Step.STAGE2).ended_at is Step.STAGE2
    assert rack.install("cp1")["state"] == "loading"
    assert cp1.installs(kernel, until=Step.OSTREE).ended_at is Step.OSTREE
    assert rack.install("cp1")["state"] == "installing"


def test_an_embedded_ignition_a_delta_and_the_logs_of_the_scripts(tmp_path: Path):
    settings = SETTINGS.replace("deltas: false", "deltas: true") + 'logs: {listen: "0.0.0.0:514"}\n'
    (tmp_path / "box").mkdir()
    directory = write_files(tmp_path / "box", settings=f"{settings}install: {{ignition: embed}}\n")
    with running(directory) as rack:
        rack.wait_for_log("content.delta_made")
        cp1 = armed(rack)
        installed = cp1.installs(cp1.kernel())
        first = cp1.starts(installed)
        wait_until(lambda: "simulated first boot" in rack.run("install", "logs", "cp1").stdout or None)
        logged = rack.netboot("install", "logs", "cp1")

        assert installed.release is not None
        assert installed.release.delta_bytes is not None
        assert (installed.ignition_url, installed.embedded_ignition is None) == (None, False)
        assert first is not None
        assert first.ended_at is Step.READY
        assert rack.install("cp1")["state"] == "ready"
        assert "check firmware: pass: booted by UEFI" in logged
        assert "simulated first boot" in logged
