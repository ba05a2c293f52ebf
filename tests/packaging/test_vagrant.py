"""The Vagrantfile is one that Vagrant accepts, and its appliance gets a configuration that netboot accepts."""

import os
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def vagrant(tmp_path: Path, *arguments: str, nodes: int = 2) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["vagrant", *arguments],
        check=False, capture_output=True, text=True, timeout=120, cwd=PROJECT / "vagrant",
        env=os.environ | {
            "NETBOOT_NODES": str(nodes),
            "VAGRANT_HOME": str(tmp_path / "home"),
            "VAGRANT_DOTFILE_PATH": str(tmp_path / "state"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
        },
    )  # fmt: skip


@pytest.mark.integration
def test_vagrant_accepts_the_file(tmp_path: Path):
    validated = vagrant(tmp_path, "validate", "--ignore-provider")

    assert validated.returncode == 0, validated.stderr
    assert "Vagrantfile validated successfully" in validated.stdout


def test_the_appliance_is_made_by_a_script_that_bash_can_read():
    script = PROJECT / "vagrant" / "appliance.sh"
    read = subprocess.run(["bash", "-n", str(script)], check=False, capture_output=True, text=True, timeout=10)

    assert (read.returncode, read.stderr) == (0, "")
    assert os.access(script, os.X_OK)
