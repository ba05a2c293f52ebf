"""Boots as `install history` and `install watch` print them."""

from typing import Any

import pytest

from netboot.admin.texts.boot_text import status_text
from netboot.cli.views.boots.boot_view import (
    StatusLine,
    change_of,
    history_rows,
    running_line,
    running_row,
    timeline_lines,
)

PROGRESS = {
    "step": "initrd",
    "name": "initrd.img",
    "bytes": 42_000_000,
    "size_bytes": 105_000_000,
    "percent": 40,
    "bytes_per_s": 11_200_000.0,
    "seconds_left": 83.4,
}


def at(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"2026-11-21T03:{int(minutes):02}:{rest:06.3f}+00:00"


def step(name: str, seconds: float, took_s: float | None = None, **values: Any) -> dict[str, Any]:
    empty = {"bytes": 0, "sent_s": None, "bytes_per_s": None, "retries": 0, "percent": None, "detail": ""}
    return {"step": name, "at": at(seconds), "last_at": at(seconds), "took_s": took_s, **empty, **values}


def boot(*steps: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {
        "host": "cp1",
        "mac": "52:54:00:aa:bb:01",
        "number": 3,
        "boots": 3,
        "began_at": at(0),
        "last_at": at(65),
        "ended_at": None,
        "end": None,
        "loader": "ipxe-uefi",
        "plan": "install",
        "reason": "",
        "facts": {"arch": "x64-uefi", "protocol": "pxe", "vendor_class": "PXEClient", "address": ""},
        "steps": list(steps),
        "waits_for": "initrd",
        "retries": 0,
        "broken": None,
        "progress": None,
        **values,
    }


RUNNING = boot(
    step("offer", 0, retries=1, detail="snponly.efi"),
    step("loader", 2, 2.0, bytes=300_000, bytes_per_s=600_000.0, retries=2, detail="snponly.efi"),
    step("ostree", 60, 58.0, bytes=1_500_000_000, percent=45, detail="ock"),
    retries=3,
    progress=PROGRESS,
    broken={"step": "initrd", "name": "initrd.img", "bytes": 7, "size_bytes": 1500, "reason": "cut", "times": 2},
)
ENDED = boot(step("offer", 0), number=1, end="failed", ended_at=at(9), waits_for=None)


def test_the_history_has_a_row_for_each_boot():
    assert list(history_rows([ENDED, RUNNING])) == [
        ("1", "2026-11-21 03:00:00", "install", "failed", "9 s", "", "offer"),
        ("3", "2026-11-21 03:00:00", "install", "", "1 min 5 s", "3", "loader 2.0 s, ostree 58.0 s"),
    ]


def test_a_boot_without_a_sign_for_hours_waits_for_nothing():
    inactive = boot(step("offer", 0), waits_for=None, inactive=True, reason="not-ready", retries=1)

    assert next(history_rows([inactive]))[3] == "inactive"
    assert list(timeline_lines(inactive))[-1].strip() == "no further sign of it for 4 hours"
    assert status_text(inactive) == ""
    assert running_line(inactive).endswith("offer         no further sign of it for 4 hours")


def test_a_step_that_is_overdue_is_named_so_in_the_table_of_running_boots():
    expected = {"median_s": 5.0, "p95_s": 30.0, "limit_s": 180.0, "boots": 0}
    wait = {"step": "initrd", "since": at(0), "expected": expected, "overdue": True}

    assert running_row(boot(step("kernel", 0), wait=wait))[4] == "initrd, overdue"


def test_a_boot_that_another_one_replaced_took_until_it_last_showed_something():
    replaced = boot(step("offer", 0), end="replaced", ended_at="2026-11-24T03:00:00+00:00")

    assert [row[3:5] for row in history_rows([replaced])] == [("replaced", "1 min 5 s")]


def test_the_timeline_of_a_boot_has_a_line_for_each_step_and_what_it_waits_for():
    assert list(timeline_lines(RUNNING)) == [
        "cp1, boot 3 of 3, began 2026-11-21 03:00:00 UTC by 52:54:00:aa:bb:01: x64-uefi, pxe, PXEClient",
        "      0.0 s  offer                   snponly.efi, 1 retry",
        "      2.0 s  loader           2.0 s  snponly.efi, 300.0 kB at 600.0 kB/s, 2 retries",
        "     60.0 s  ostree          58.0 s  ock, 45 %, 1.5 GB",
        "             initrd: initrd.img was sent in part (cut): 7 B of 1.5 kB, 2 times",
        "             waits for initrd; initrd.img 40 %, 42.0 MB of 105.0 MB, 11.2 MB/s, 1 min 23 s left; 3 retries",
    ]


def test_the_timeline_of_a_boot_that_has_ended_has_its_end():
    facts = {"arch": "", "protocol": "", "vendor_class": "", "address": ""}
    ended = {**ENDED, "number": None, "host": None, "facts": facts}

    assert list(timeline_lines(ended)) == [
        "52:54:00:aa:bb:01, began 2026-11-21 03:00:00 UTC by 52:54:00:aa:bb:01: no client",
        "      0.0 s  offer",
        "      9.0 s  failed",
    ]


def test_a_boot_with_one_broken_transfer_and_nothing_due_has_no_status():
    broken = {"step": "initrd", "name": "x", "bytes": 7, "size_bytes": 9, "reason": "cut", "times": 1}

    assert list(timeline_lines(boot(broken=broken, waits_for=None)))[1:] == [
        "             initrd: x was sent in part (cut): 7 B of 9 B"
    ]


def test_a_step_that_becomes_overdue_is_a_change():
    expected = {"median_s": 5.0, "p95_s": 9.0, "limit_s": 87.0, "boots": 7}
    wait = {"step": "initrd", "since": at(0), "expected": expected, "overdue": False}

    assert change_of(boot(wait=wait)) != change_of(boot(wait={**wait, "overdue": True}))


def test_each_boot_that_runs_has_a_row_and_a_line():
    progress = "initrd.img 40 %, 42.0 MB of 105.0 MB, 11.2 MB/s, 1 min 23 s left"

    assert running_row(RUNNING) == ("cp1", "install", "ostree", "03:00:00", "initrd", progress, "3")
    assert running_row(boot(host=None, waits_for=None, reason="unknown-host")) == (
        "52:54:00:aa:bb:01",
        "install",
        "",
        "03:00:00",
        "unknown-host",
        "",
        "",
    )
    assert running_line(ENDED) == "03:01:05  cp1                 offer         ended: failed"
    assert running_line(boot()) == "03:01:05  cp1                 –             waits for initrd"


def test_another_percent_is_no_change_and_another_tenth_is():
    less, more = ({**RUNNING, "progress": {**PROGRESS, "percent": percent}} for percent in (41, 50))

    assert change_of(less) == change_of(RUNNING)
    assert change_of(more) != change_of(RUNNING)
    assert change_of(boot()) != change_of(RUNNING)


def test_without_a_terminal_the_status_is_printed_when_it_changes(capsys: pytest.CaptureFixture[str]):
    line = StatusLine()

    for shown in (None, ENDED, boot(), boot(), boot(retries=1), boot(waits_for=None)):
        line.show(shown)
    line.clear()

    assert capsys.readouterr().out == f"{'':11}waits for initrd\n{'':11}waits for initrd; 1 retry\n"


def test_on_a_terminal_the_status_is_one_line_that_is_replaced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    line = StatusLine()

    for shown in (boot(), boot(retries=1), None):
        line.show(shown)
    line.clear()

    erased = "\r\x1b[2K"
    assert capsys.readouterr().out == f"waits for initrd{erased}waits for initrd; 1 retry{erased}"
