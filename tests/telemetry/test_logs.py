"""The log: one JSON line per event of any library, and no line is lost at the end of an iteration."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from io import StringIO

from netboot.telemetry.logs import FAULTS_HELD, LINE_INTERVAL_S, LINES_OF_NAME, LineLimit, Lines

PROGRAM = """
import asyncio, structlog
from netboot.telemetry import logs

log = structlog.get_logger()

async def main():
    log.warning("in.loop", mac="52:54:00:aa:bb:01", text='a "quoted" line\\nand ü')
    log.debug("not.logged")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("went.wrong")

logs.configure(level="info", form="json")
log.info("before.loop", file_name="\\udcff.efi", size=2**70)
asyncio.run(main())
log.error("after.loop", number=3)
"""


def test_every_event_is_one_line_of_json():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=60)

    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("before.loop", "info"),
        ("in.loop", "warning"),
        ("went.wrong", "error"),
        ("after.loop", "error"),
    ]
    assert (lines[1]["text"], lines[3]["number"]) == ('a "quoted" line\nand ü', 3)
    assert (lines[0]["file_name"], lines[0]["size"]) == ("\udcff.efi", 2**70)
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert lines[0]["timestamp"].startswith("20")
    assert lines[0]["timestamp"].endswith("Z")


FOR_A_TERMINAL = """
import structlog
from netboot.telemetry import logs

logs.configure(level="info", form="console")
log = structlog.get_logger()
log.info("http.content_unreadable", path="/a\\x1b]0;x\\x07\\x9b31m\\u202eb", reason="one\\ntwo", bytes=3)
try:
    raise ValueError("\\x9b2J")
except ValueError:
    log.exception("went.wrong")
"""


def test_no_text_in_a_readable_log_line_has_control_characters_of_a_terminal():
    ran = subprocess.run(
        [sys.executable, "-c", FOR_A_TERMINAL], check=True, capture_output=True, text=True, timeout=60
    ).stderr
    plain = re.sub(r"\x1b\[[0-9;]*m", "", ran)  # structlog's own colours

    assert [sign for sign in plain if not sign.isprintable() and sign != "\n"] == []
    assert "path=/a\ufffd]0;x\ufffd\ufffd31m\ufffdb" in plain
    assert "bytes=3" in plain
    assert "ValueError: \ufffd2J" in plain


FLOOD = """
import time
import structlog
from netboot.telemetry import logs

now = [0.0]
time.monotonic = lambda: now[0]
logs.configure(level="info", form="json")
log = structlog.get_logger()
for number in range(logs.LINES_OF_NAME + 7):
    log.info("tftp.sent", address="192.0.2.66")
log.error("boot.alarm_raised", host="cp1")
now[0] = 40.0
log.info("lease.answered", answer="nak")
for number in range(2):
    log.info("tftp.sent", address="192.0.2.66")
"""


def test_a_flood_of_requests_that_are_answered_hides_no_alarm_from_the_journal():
    ran = subprocess.run([sys.executable, "-c", FLOOD], check=True, capture_output=True, text=True, timeout=60)

    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["event"] for line in lines[:LINES_OF_NAME]] == ["tftp.sent"] * LINES_OF_NAME
    assert [(line["event"], line.get("lines_left_out")) for line in lines[LINES_OF_NAME:]] == [
        ("boot.alarm_raised", None),
        ("lease.answered", None),
        ("tftp.sent", 7),
        ("tftp.sent", None),
    ]


def test_lines_for_the_journal_begin_with_their_priority():
    reader, writer = os.pipe()
    status = os.fstat(writer)
    for stream, expected in ((f"{status.st_dev}:{status.st_ino}", ["<6>", "<4>", "<3>", "<3>"]), ("1:2", [""] * 4)):
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            check=True,
            stderr=writer,
            timeout=60,
            env={**os.environ, "JOURNAL_STREAM": stream},
        )
        lines = os.read(reader, 65536).decode().splitlines()
        assert [line.partition("{")[0] for line in lines] == expected
    os.close(reader)
    os.close(writer)


class Counting(StringIO):
    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def test_the_lines_of_one_turn_leave_in_one_write():
    stream = Counting()
    lines = Lines(stream)

    async def main() -> None:
        for number in range(3):
            lines.write(str(number))
        await asyncio.sleep(0)

    asyncio.run(main())

    assert (stream.getvalue(), stream.writes) == ("0\n1\n2\n", 1)


def test_a_threads_line_leaves_at_once_and_a_broken_stream_stops_nobody():
    stream = StringIO()
    thread = threading.Thread(target=Lines(stream).write, args=("x",))
    thread.start()
    thread.join()
    closed = StringIO()
    closed.close()

    Lines(closed).write("lost")

    assert stream.getvalue() == "x\n"


def test_a_fault_that_requests_meet_again_and_again_is_logged_once_a_minute():
    now = [0.0]
    limit = LineLimit(lambda: now[0])

    assert [limit.note("vmlinuz is gone"), limit.note("vmlinuz is gone"), limit.note("initrd is gone")] == [
        True,
        False,
        True,
    ]
    now[0] = LINE_INTERVAL_S
    assert limit.note("vmlinuz is gone")


def test_the_faults_that_are_remembered_are_bounded():
    limit = LineLimit(lambda: 0.0)

    assert all(limit.note(str(number)) for number in range(FAULTS_HELD * 3))
    assert len(limit._logged_s) <= FAULTS_HELD
