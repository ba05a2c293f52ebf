"""Syslog messages as their senders write them: recorded of iPXE's source, logger, rsyslogd and journalctl."""

import json

import pytest

from netboot.model.boot.log_line import LogMessage, Severity
from netboot.wire.syslog.syslog_message import (
    LONGEST_PROGRAM,
    LONGEST_TEXT,
    journal_message,
    reported_message,
    syslog_message,
)

S = Severity


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        # iPXE 2.0, src/net/udp/syslog.c: no time; the host name only if it has one
        pytest.param(
            b"<6>ipxe: iPXE initialising devices...", (S.INFO, "ipxe", "iPXE initialising devices..."), id="ipxe"
        ),
        pytest.param(
            b"<6>cp1.example.org ipxe: http://192.0.2.10/x... ok",
            (S.INFO, "ipxe", "http://192.0.2.10/x... ok"),
            id="ipxe-with-its-name",
        ),
        pytest.param(b"<3>cp1 ipxe: Connection timed out", (S.ERROR, "ipxe", "Connection timed out"), id="ipxe-error"),
        # util-linux 2.38: logger --udp --rfc3164, --rfc5424, and on /dev/log
        pytest.param(b"<13>Nov 29 11:40:03 cp1 root: text", (S.NOTICE, "root", "text"), id="logger-3164"),
        pytest.param(
            b'<11>1 2026-11-29T11:40:03.123456+00:00 cp1 anaconda - - [timeQuality tzKnown="1" isSynced="0"] text',
            (S.ERROR, "anaconda", "text"),
            id="logger-5424",
        ),
        pytest.param(b"<13>Nov 29 11:40:03 root: text", (S.NOTICE, "root", "text"), id="without-a-host"),
        # rsyslogd 8.2302 with `*.* @@HOST:514`, as Anaconda configures it
        pytest.param(
            b"<140>Nov  9 11:40:03 localhost anaconda[1042]: packaging: no such ref",
            (S.WARNING, "anaconda", "packaging: no such ref"),
            id="rsyslogd",
        ),
        pytest.param(b"<6>Nov 29 11:40:03 localhost kernel: eth0: up", (S.INFO, "kernel", "eth0: up"), id="kernel"),
        pytest.param(
            b"<30>2026-11-29T11:40:03.123456+00:00 localhost systemd[1]: Started.",
            (S.INFO, "systemd", "Started."),
            id="rsyslogd-rfc3339",
        ),
        pytest.param(b"<30>1 - - - - - - text", (S.INFO, "", "text"), id="5424-with-nothing"),
        pytest.param(
            b"<30>1 - - app 1 ID - \xef\xbb\xbftext", (S.INFO, "app", "text"), id="5424-with-a-byte-order-mark"
        ),
        pytest.param(rb'<30>1 - - app - - [a b="\"]"][c d="e"] text', (S.INFO, "app", "text"), id="5424-two-elements"),
        pytest.param(b"<30>1 - - app - - -", None, id="5424-without-a-text"),
        pytest.param(b"<30>1 - - app - - [broken text", (S.INFO, "app", "[broken text"), id="5424-broken-element"),
        # what is none of these is a text
        pytest.param(b"netboot-pre: check disk: pass", (S.INFO, "netboot-pre", "check disk: pass"), id="report"),
        pytest.param(b"just some words", (S.INFO, "", "just some words"), id="words"),
        pytest.param(b"<999>text", (S.INFO, "", "<999>text"), id="no-such-priority"),
        pytest.param(b"<191>text", (S.DEBUG, "", "text"), id="highest-priority"),
        pytest.param(b"<13>Nov 29 11:40:03 host", (S.NOTICE, "", "host"), id="time-and-one-word"),
        pytest.param(b"<13>Nov 29 11:40:03 host words only", (S.NOTICE, "", "words only"), id="without-a-tag"),
        pytest.param(b"<0>a\r\n\0", (S.EMERGENCY, "", "a"), id="line-ends"),
        pytest.param(b"<13>one\ntwo\rthree", (S.NOTICE, "", "one two three"), id="several-lines"),
        pytest.param(b"<13>\xff\xfe", (S.NOTICE, "", "\ufffd\ufffd"), id="not-utf-8"),
        pytest.param(b"<13> \n", None, id="blank"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_a_message_of_each_sender_is_read(datagram: bytes, expected: tuple[Severity, str, str] | None):
    assert syslog_message(datagram) == (LogMessage(*expected) if expected else None)


def test_text_and_program_are_bounded():
    message = syslog_message(b"<13>" + b"p" * 60 + b": " + b"x" * 100_000)

    assert message == LogMessage(S.NOTICE, "p" * LONGEST_PROGRAM, "x" * LONGEST_TEXT)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        # journalctl --output=json --output-fields=PRIORITY,SYSLOG_IDENTIFIER,MESSAGE of systemd 239 and 252
        (
            {"__CURSOR": "s=1;i=2", "PRIORITY": "3", "SYSLOG_IDENTIFIER": "ignition", "MESSAGE": "disks: failed"},
            (S.ERROR, "ignition", "disks: failed"),
        ),
        ({"MESSAGE": [226, 130, 172, 255]}, (S.INFO, "", "€\ufffd")),
        ({"PRIORITY": "9", "MESSAGE": "text"}, (S.INFO, "", "text")),
        ({"MESSAGE": None}, None),
        ({"MESSAGE": [300]}, None),
        ({"MESSAGE": ""}, None),
        ({}, None),
        (["MESSAGE"], None),
    ],
)
def test_an_entry_of_the_journal_is_read(entry: object, expected: tuple[Severity, str, str] | None):
    assert journal_message(json.dumps(entry).encode()) == (LogMessage(*expected) if expected else None)


@pytest.mark.parametrize("line", [b"{", b"", b"[" * 5000, b'{"MESSAGE": "cut'])
def test_a_line_that_is_no_json_is_no_entry(line: bytes):
    assert journal_message(line) is None


def test_a_reported_line_is_an_entry_or_a_message():
    assert reported_message(b'{"MESSAGE": "a"}') == LogMessage(S.INFO, "", "a")
    assert reported_message(b"netboot-post: a") == LogMessage(S.INFO, "netboot-post", "a")
    assert reported_message(b'{"MESSAGE": null}') is None
