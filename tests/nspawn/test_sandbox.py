"""What the daemon itself, not a command, does with files and programs in the sandbox of `netboot.service`."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon.test_uploads import archive  # noqa: F401 - a fixture
from fixtures.daemon import START_S, wait_until
from netns import inside
from nspawn.conftest import Unit
from tusclient.client import TusClient

pytestmark = [pytest.mark.integration, pytest.mark.proof]

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
URL = "http://127.0.0.1:8470/api/v1/uploads"
CONTENT = "/var/lib/netboot/content/ostree"
IMAGE = Path(__file__).parents[1] / "fixtures/ostree_images/ock-image-tiny.tar"


@pytest.fixture(autouse=True)
def sandbox(unit: Unit, running: None) -> Iterator[None]:
    """Nothing that a test does is refused by the sandbox."""
    yield
    journal = unit.journal()
    for refusal in ("not permitted", "Read-only file system", "Permission denied", "No such file or directory"):
        assert [line for line in journal.splitlines() if refusal in line] == []


def upload(unit: Unit, data: bytes, **metadata: str) -> None:
    """Upload with tuspy to the administration's address of the appliance."""
    with inside(unit.server_namespace):
        TusClient(URL).uploader(file_stream=io.BytesIO(data), chunk_size=1 << 20, metadata=metadata).upload()


def files(unit: Unit, directory: str, name: str) -> list[str]:
    return unit.container.run("sh", "-c", f"find {directory} -name '{name}' 2>/dev/null || true").split()


def wait_for_delta(unit: Unit, release: str) -> None:
    """Wait until `ostree` has made a static delta of a release, which is what a machine pulls."""
    found = wait_until(
        lambda: files(unit, f"{CONTENT}/{release}/deltas", "superblock") or None,
        failed=lambda: unit.journal("-n", "30"), timeout_s=START_S,
    )  # fmt: skip
    path = found[0].removeprefix("/var/lib/netboot/content")
    assert unit.machine(*CP1).get(path, "-I").status == 200


def test_an_uploaded_archive_becomes_a_release_with_a_static_delta(unit: Unit, archive: bytes):  # noqa: F811
    upload(unit, archive, kind="archive", name="ock-archive", filename="ock.tar")

    wait_for_delta(unit, "ock-archive")


def test_an_uploaded_image_becomes_a_release_with_a_static_delta(unit: Unit):
    upload(unit, IMAGE.read_bytes(), kind="image", name="ock-image", filename="ock.tar")

    wait_for_delta(unit, "ock-image")


def test_the_daemon_declares_a_host_and_replaces_an_ignition_file(unit: Unit):
    unit.netboot("host", "add", "w9", "role=worker", "mac=52:54:00:00:00:09")
    unit.netboot("cluster", "ignition", "set", "worker", "/given/ign/worker-join.ign")

    assert unit.container.run("sh", "-c", "cd /etc/netboot/hosts.d && stat -c '%n %U %a' *") == "w9.yaml netboot 640\n"
    assert [host["name"] for host in json.loads(unit.netboot("host", "list", "--json"))] == ["cp1", "w1", "w9"]


def test_a_hook_a_capture_and_a_support_archive_are_made(unit: Unit):
    machine = unit.machine(*CP1)
    unit.netboot("install", "arm", "cp1", "--reason", "test")
    machine.boots()
    assert "vmlinuz" in machine.script()

    marked = wait_until(lambda: files(unit, "/var/lib/netboot", "marked") or None, timeout_s=START_S)
    events = unit.container.run("cat", marked[0])
    assert '"cp1"' in events
    wait_until(lambda: files(unit, "/var/lib/netboot/records", "*.pcapng*") or None, timeout_s=START_S)
    unit.netboot("support", "cp1", "--output", "/run/support.tar.gz")
    assert "cp1" in unit.container.run("tar", "-tzf", "/run/support.tar.gz")
    unit.netboot("install", "cancel", "cp1")
