"""What an installer reports, from outside: a report that is longer than what is kept of one."""

import json

import pytest
from fixtures.rack import BASE, Rack, token_in

pytestmark = pytest.mark.integration


def test_a_long_report_keeps_its_reason_and_its_end(rack: Rack):
    cp1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
    token = token_in(kickstart, "report")
    report = rack.directory / "report"
    report.write_text("no space left on device\n" + "a line of the log\n" * 50_000 + "the last line\n")

    body = ("-X", "POST", "-H", "Expect:", "--data-binary", f"@{report}")  # 900 kB; beyond 1 MiB it is refused
    answer = rack.curl("--interface", cp1.address, *body, f"{BASE}/report/{token}/failed")

    assert answer.status == 200
    [failed] = [
        move for move in json.loads(rack.netboot("install", "history", "cp1", "--json")) if move["to"] == "failed"
    ]
    assert failed["note"].startswith("no space left on device\na line of the log\n")
    assert failed["note"].endswith("a line of the log\nthe last line\n")
    assert "bytes of this report are left out here]" in failed["note"]


def test_a_repeated_report_is_acknowledged_and_logged_once(rack: Rack):
    cp1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    token = token_in(cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body, "report")

    statuses = [cp1.report(token, event) for event in ("started", "started", "started", "done", "done")]
    rack.wait_for_log('"report":"done"')

    assert statuses == [200] * 5
    assert [line["report"] for line in rack.lines("boot.report_taken")] == ["started", "done"]
