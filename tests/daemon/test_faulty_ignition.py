"""An Ignition file that Ignition would refuse, against a running daemon: reload, check, arming and the boot."""

import signal
from pathlib import Path
from shutil import copyfile

import pytest
from fixtures.rack import Rack

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).parents[1] / "ignition" / "samples"
REASON = "/storage/files/0/contents/verification/hash: is not the hash of the content"


def test_a_faulty_ignition_file_is_refused_by_check_reload_and_arming_and_is_not_served(rack: Rack):
    cp1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")
    rack.netboot("install", "arm", "cp1")
    for name in ("init.ign", "worker-join.ign"):
        copyfile(SAMPLES / "hash.ign", rack.directory / "ign" / name)

    rack.signal(signal.SIGHUP)
    rack.wait_for_log("config.rejected")
    checked = rack.netboot("check", status=2)
    refused = rack.netboot("install", "arm", "w1", status=1)
    cp1.boots()
    script = cp1.script()

    assert f"hosts.yaml:5:29: roles.worker.ignition.join: {rack.directory}/ign/worker-join.ign: {REASON}" in checked
    assert REASON in refused
    assert rack.install("w1")["armed"] is False
    assert "vmlinuz" not in script
    assert rack.install("cp1")["arming"]["spent"] == 0
    assert REASON in rack.netboot("install", "show", "cp1")
