"""The report of an installed node: what is read of it, and what is refused."""

from datetime import UTC, datetime

import pytest

from netboot.model.install.checks import MalformedReportError
from netboot.model.node_report import LARGEST_NODE_REPORT, NodeReport, read_node_report

COMMIT, OTHER = "ab" * 32, "cd" * 32
WHOLE = f"""booted {COMMIT}
booted_version 1.33.1
booted_date 2026-01-20 16:56:38 +0000
booted_at 2026-11-30 08:00:00 +0000
staged {OTHER}
staged_version 1.33.2
staged_date 2026-05-12 10:00:28 +0000
pending {OTHER}
registry 10.0.0.1:8080/olcne/ock-ostree
tag 1.33
updater active
"""
READ = NodeReport(
    COMMIT,
    "1.33.1",
    datetime(2026, 1, 20, 16, 56, 38, tzinfo=UTC),
    datetime(2026, 11, 30, 8, 0, tzinfo=UTC),
    OTHER,
    "1.33.2",
    datetime(2026, 5, 12, 10, 0, 28, tzinfo=UTC),
    OTHER,
    "10.0.0.1:8080/olcne/ock-ostree",
    "1.33",
    "active",
)


def test_a_whole_report_is_read() -> None:
    assert read_node_report(WHOLE.encode()) == READ


def test_what_can_be_a_token_is_hidden():
    token = "0f" * 16

    report = read_node_report(f"booted {COMMIT}\ntag {token}\nbooted_version {token}\n".encode())

    assert (report.booted, report.tag, report.booted_version) == (COMMIT, "TOKEN-HIDDEN", "TOKEN-HIDDEN")


def test_a_report_needs_only_the_booted_commit() -> None:
    assert read_node_report(f"booted {COMMIT}".encode()) == NodeReport(COMMIT)


def test_the_texts_of_a_report_are_read_as_the_same_report() -> None:
    assert NodeReport.parse(READ.texts()) == READ
    assert NodeReport(COMMIT).texts() == {"booted": COMMIT}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "a report of a node needs the commit that is booted"),
        (f"staged {COMMIT}\n".encode(), "a report of a node needs the commit that is booted"),
        (f"booted {COMMIT}\nbooted {COMMIT}\n".encode(), "a report of a node has each key once"),
        (f"booted {COMMIT}\nroot x\n".encode(), "a report of a node has no 'root'"),
        (f"booted {COMMIT}\n".encode() * 64, "a report of a node has at most 4096 bytes"),
        (f"booted {COMMIT}\ntag é\n".encode(), "a report of a node is ASCII text"),
        (
            f"booted {COMMIT}\nbooted_date 2026-02-30 00:00:00 +0000".encode(),
            "a report of a node has a date that does not exist",
        ),
    ],
)
def test_a_malformed_report_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedReportError, match=f"^{reason}$"):
        read_node_report(body)


@pytest.mark.parametrize(
    "line",
    [
        f"booted {COMMIT[1:]}",
        f"booted {COMMIT.upper()}",
        f"booted {COMMIT} ",
        f"booted {COMMIT}\r",
        f"booted {COMMIT}\nbooted_version <script>",
        f"booted {COMMIT}\nbooted_version {'1' * 65}",
        f"booted {COMMIT}\nbooted_date 2026-01-20T16:56:38Z",
        f"booted {COMMIT}\nbooted_at yesterday",
        f"booted {COMMIT}\nregistry http://10.0.0.1 /x",
        f"booted {COMMIT}\ntag -1",
        f"booted {COMMIT}\nupdater active; reboot",
        f"booted {COMMIT}\nstaged ",
    ],
)
def test_a_value_of_another_form_is_refused(line: str) -> None:
    with pytest.raises(MalformedReportError, match="has another form than"):
        read_node_report(line.encode())


def test_a_value_that_is_no_text_is_refused() -> None:
    with pytest.raises(MalformedReportError, match="has another form than"):
        NodeReport.parse({"booted": 1})


def test_the_limit_of_bytes_is_above_the_longest_report() -> None:
    longest = WHOLE.replace("1.33\n", f"{'1' * 128}\n").replace("10.0.0.1", "a" * 230)

    assert len(longest.encode()) < LARGEST_NODE_REPORT
    assert read_node_report(longest.encode()).tag == "1" * 128
