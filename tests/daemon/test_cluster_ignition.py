"""Ignition files whose secrets end, against a running daemon: arming, serving, and replacing them."""

import json
import os
import time
from pathlib import Path

import pytest
from fixtures.files import HOSTS
from fixtures.problems import without_rfc_members
from fixtures.rack import Machine, Rack, token_in
from fixtures.role_files import CERTIFICATE_KEY, altered

pytestmark = pytest.mark.integration

CP2 = ("52:54:00:aa:bb:02", "192.0.2.52")
ENDED = "the certificate key in {path} ended at "
NEW = {"192.0.2.10": "192.0.2.100", CERTIFICATE_KEY: "ab" * 32, "c0ntrl": "c0ntr2"}


@pytest.fixture
def rack_directory(rack_directory: Path) -> Path:
    """As all others, with a second control plane."""
    (rack_directory / "hosts.yaml").write_text(HOSTS + f"  cp2: {{role: control-plane, mac: {CP2[0]}}}\n")
    return rack_directory


def let_the_key_end(rack: Rack) -> Path:
    """Let the file of further control planes be three hours old."""
    path = rack.directory / "ign" / "controlplane-join.ign"
    os.utime(path, (time.time() - 3 * 3600,) * 2)
    return path


def installed(rack: Rack, machine: Machine) -> tuple[str, str]:
    """Install a machine up to its first boot; return its tokens for Ignition and reports."""
    machine.boots()
    kickstart = machine.get(f"/ks/{token_in(machine.script(), 'ks')}").body
    report = token_in(kickstart, "report")
    assert [machine.report(report, event) for event in ("started", "done")] == [200, 200]
    return token_in(kickstart, "ign"), report


def test_a_host_whose_certificate_key_has_ended_is_not_armed_nor_installed(rack: Rack):
    cp2 = rack.machine(*CP2)
    armed = rack.netboot("install", "arm", "cp2")
    path = let_the_key_end(rack)

    refused = rack.netboot("install", "arm", "cp2", "--json", status=1)
    cp2.boots()
    script = cp2.script()

    ended = rack.wait_for("install.secret_ended", host="cp2")["reason"]

    assert "  deadline    certificate key until " in armed
    assert ended.startswith(ENDED.format(path=path))
    assert f"armed and not ready: cp2: {ended}" in rack.api("/api/v1/status")["problems"]
    [reason] = json.loads(refused.splitlines()[0])["reasons"]
    assert reason.startswith(f"cannot serve the Ignition of cp2: {ENDED.format(path=path)}")
    assert reason.endswith(
        "run ocne cluster join -c byo.yaml -n 1 > FILE and the commands that it prints, "
        "then netboot cluster ignition set control-plane FILE (--renewed if only the commands were run again)"
    )
    assert "vmlinuz" not in script
    assert rack.install("cp2")["arming"]["spent"] == 0
    assert ENDED.format(path=path) in rack.netboot("install", "show", "cp2")
    assert "certificate key ended at " in rack.netboot("explain", "cp2")
    checked = rack.netboot("check", status=1)
    assert reason in checked
    assert f"note: {rack.directory}/ign/worker-join.ign: bootstrap token until " in checked
    worker = rack.netboot("host", "show", "w1")
    assert "bootstrap token until " in worker


def test_an_ended_key_is_not_served_until_a_new_file_is_set(rack: Rack, tmp_path: Path):
    cp2 = rack.machine(*CP2)
    rack.netboot("install", "arm", "cp2")
    ignition, report = installed(rack, cp2)
    path = let_the_key_end(rack)

    waits = cp2.get(f"/ign/{ignition}")
    reason = rack.wait_for("boot.document_held_back", host="cp2")["reason"]
    new = tmp_path / "new.ign"
    new.write_bytes(altered("controlplane-join.ign", NEW))
    taken = json.loads(rack.netboot("cluster", "ignition", "set", "control-plane", str(new), "--json"))
    served = cp2.get(f"/ign/{ignition}")
    parts = [cp2.get(child["source"]) for child in json.loads(served.body)["ignition"]["config"]["merge"]]

    assert (waits.status, served.status) == (503, 200)
    assert "Retry-After" in waits.headers
    assert reason.startswith(f"cannot serve the Ignition of cp2: {ENDED.format(path=path)}")
    assert parts[0].body == new.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each["is_estimate"] for each in taken["file"]["deadlines"]] == [False, False]
    assert cp2.report(report, "ready") == 200
    assert all(secret not in rack.log for secret in (CERTIFICATE_KEY, NEW[CERTIFICATE_KEY], "fedcba9876543210"))
    rack.wait_for("audit.recorded", action="set ignition", subject="control-plane", outcome="done")


def test_a_key_that_ends_between_the_wrapper_and_its_parts_is_not_served(rack: Rack):
    cp2 = rack.machine(*CP2)
    rack.netboot("install", "arm", "cp2")
    path = rack.directory / "ign" / "controlplane-join.ign"
    os.utime(path, (time.time() - 2 * 3600 + 4,) * 2)
    ignition, _ = installed(rack, cp2)

    wrapper = cp2.get(f"/ign/{ignition}")
    role = json.loads(wrapper.body)["ignition"]["config"]["merge"][0]["source"]
    time.sleep(max(0.0, path.stat().st_mtime + 2 * 3600 - time.time()) + 0.1)

    assert wrapper.status == 200
    assert cp2.get(role).status == 503


def test_the_api_takes_a_file_and_refuses_another_with_its_reason(rack: Rack, tmp_path: Path):
    new = tmp_path / "new.ign"
    new.write_bytes(altered("worker-join.ign", {"192.0.2.10": "192.0.2.100"}))

    refused = rack.api("/api/v1/cluster/ignition/init", "-X", "PUT", "--data-binary", f"@{new}")
    taken = rack.api("/api/v1/cluster/ignition/worker?renewed=1", "-X", "PUT", "--data-binary", f"@{new}")
    listed = rack.api("/api/v1/cluster/ignition")

    assert without_rfc_members(refused, 422) == {
        "error": "cannot take the Ignition file for init: it is for a worker (ocne cluster join -w 1), "
        "not for the first node (ocne cluster start); "
        "give the standard output of ocne for the first node (ocne cluster start)",
        "code": "role-file-refused",
    }
    assert taken["file"]["uses"] == ["worker"]
    assert [each["uses"] for each in listed] == [["init"], ["control-plane"], ["worker"]]
    put = ("-X", "PUT", "--data-binary", "x")
    assert rack.api("/api/v1/cluster/ignition/nobody", *put)["code"] == "not-found"
    assert rack.api("/api/v1/cluster/ignition/init?renewed=x", *put)["code"] == "bad-request"
