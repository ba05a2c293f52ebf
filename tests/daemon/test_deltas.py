"""The daemon makes a release's delta in the background, a machine pulls by it, and the release cannot be removed."""

import json
import subprocess
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.rack import BASE, Rack

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.66")  # the address that ostree sends from


def test_a_pull_by_delta_is_followed_and_holds_its_release(rack: Rack, tmp_path: Path):
    rack.kill()
    rack.config.write_text(rack.config.read_text().replace("deltas: false", "deltas: true"))
    rack.start()
    rack.wait_for_log("content.delta_made")
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    cp1.script()
    destination = tmp_path / "pulled"

    _ostree(rack, destination, "init", "--mode=bare-user")
    _ostree(rack, destination, "remote", "add", "--no-gpg-verify", "ock", f"{BASE}/ostree/ock-1.31-amd64")
    _ostree(rack, destination, "pull", "--require-static-deltas", "ock", "ock")

    def percents() -> list[int]:
        lines = rack.netboot("install", "watch", "cp1", "--no-follow", "--json").splitlines()
        return [event["data"]["percent"] for event in map(json.loads, lines) if event["step"] == "ostree"]

    wait_until(lambda: percents()[-1:] == [100] or None, failed=lambda: str(percents()))


def test_a_release_that_a_machine_pulls_is_not_removed(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    cp1.script()
    repository = rack.directory / "content/ostree/ock-1.31-amd64"
    member = next(repository.glob("objects/*/*.filez")).relative_to(repository)
    assert cp1.get(f"/ostree/ock-1.31-amd64/{member}", "-o", "/dev/null", "-D", "-").status == 200

    reported = rack.netboot("content", "gc", status=1)

    assert "machines are pulling now (ock-1.31-amd64)" in reported


def _ostree(rack: Rack, repository: Path, *arguments: str) -> None:
    command = ["ip", "netns", "exec", rack.client_namespace, "ostree", f"--repo={repository}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
