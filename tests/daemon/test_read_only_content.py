"""A content directory that cannot be written: one line that names it and the cure, and no 500."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest
from daemon.test_uploads import Uploader
from fixtures.problems import without_rfc_members
from fixtures.rack import Rack

pytestmark = pytest.mark.integration


@pytest.fixture
def read_only(rack: Rack) -> Iterator[Rack]:
    """Start the daemon on a content directory that is mounted read-only, as ProtectSystem=strict does, with deltas."""
    content = rack.directory / "content"
    rack.kill()
    rack.config.write_text(rack.config.read_text().replace("deltas: false", "deltas: true"))
    subprocess.run(["mount", "--bind", content, content], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", content], check=True)
        rack.start()
        yield rack
    finally:
        rack.kill()
        subprocess.run(["umount", content], check=True)


def test_a_read_only_directory_is_named_once_with_its_cure_and_uploads_get_503(read_only: Rack) -> None:
    content = read_only.directory / "content"
    fault = (
        f"cannot write below {content}: Read-only file system; mount it writable, see dmesg, or if only the service "
        f"sees it read-only: systemctl edit netboot, add [Service] ReadWritePaths={content} unless the unit has it, "
        "and systemctl restart netboot"
    )
    read_only.wait_for_log("content.delta_failed")
    uploader = Uploader(read_only)

    status, answer, _ = uploader.request_upload(10, kind="iso", name="x")
    uploader.query("POST", "/api/v1/content/rescan")
    time.sleep(0.5)

    assert (status, without_rfc_members(answer, 503)) == (503, {"error": fault, "code": "service-unavailable"})
    assert fault in uploader.query("GET", "/api/v1/status")[1]["problems"]
    lines = [json.loads(line) for line in read_only.log.splitlines() if fault in str(json.loads(line).get("reason"))]
    assert [line["event"] for line in lines] == ["content.not_writable", "content.delta_failed", "audit.recorded"]
    refused = read_only.netboot("content", "gc", status=1)
    assert fault in refused
    assert "Traceback" not in refused
