"""What a host would get now is compared with what it was served, tokens hidden, line by line."""

import difflib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.served_document import LONGEST_TEXT, ServedDocument, ServedKind
from netboot.operate.planning.host_plan import PLAN_TOKENS, HostPlan
from netboot.operate.planning.plan_changes import PlanChange, _unified_diff, plan_change

texts = some.lists(some.sampled_from(["", "a", "b", "c", "- d", "@@"]), max_size=40)


@given(texts, texts)
def test_a_short_text_differs_as_the_standard_library_writes_it(before: list[str], after: list[str]):
    expected = list(difflib.unified_diff(before, after, lineterm=""))[2:]

    assert list(_unified_diff(before, after)) == expected


def test_a_line_that_a_long_text_has_often_is_not_a_change():
    before = [line for number in range(200) for line in (f"line {number}", "")]
    after = ["another" if line == "line 100" else line for line in before]

    assert [line for line in _unified_diff(before, after) if line[0] in "+-"] == ["-line 100", "+another"]


AT = datetime(2026, 11, 29, tzinfo=UTC)
OVERLAY = '{"storage": {"files": [{"path": "/a", "contents": {"source": "data:,one%%0A%s%%0A"}}, {"path": "/b"}]}}'
PLAN = HostPlan(
    offers={},
    script="chain KICKSTART-TOKEN\n",
    script_unarmed="",
    grub="linux KICKSTART-TOKEN\n",
    grub_unarmed="",
    kernel_lines={},
    kickstart="lang en\nreport REPORT-TOKEN\n",
    ignition={"overlay": OVERLAY % "two"},
    role_sha256="0" * 64,
)


def served(kind: ServedKind, text: str) -> ServedDocument:
    return ServedDocument.of(
        HostName("cp1"),
        kind,
        text.encode(),
        tokens=PLAN_TOKENS,
        at=AT,
        mac=Mac.parse("52:54:00:aa:bb:01"),
        base_url="http://192.0.2.10:8080",
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ServedKind.SCRIPT, PLAN.script),
        (ServedKind.GRUB, PLAN.grub),
        (ServedKind.KICKSTART, PLAN.kickstart),
        (ServedKind.OVERLAY, PLAN.ignition["overlay"]),
    ],
)
def test_a_document_that_differs_in_its_tokens_alone_does_not_differ(kind: ServedKind, text: str):
    document = served(kind, text)

    assert plan_change(PLAN, document) == PlanChange(kind, AT.isoformat(), differs=False, diff="")
    assert plan_change(PLAN, served(kind, text + " ")).differs


def test_a_difference_is_shown_by_lines_with_its_document_and_time():
    change = plan_change(PLAN, served(ServedKind.KICKSTART, "lang de\nreport REPORT-TOKEN\n"))

    assert change.diff.splitlines() == [
        f"--- cp1/kickstart served {AT.isoformat()}",
        "+++ cp1/kickstart now",
        "@@ -1,2 +1,2 @@",
        "-lang de",
        "+lang en",
        " report TOKEN-HIDDEN",
    ]


def test_an_overlay_is_compared_by_the_lines_of_its_files():
    change = plan_change(PLAN, served(ServedKind.OVERLAY, OVERLAY % "2"))

    assert [line.split() for line in change.diff.splitlines() if line[:1] in "+-"][2:] == [["-", '"2"'], ["+", '"two"']]


def test_an_overlay_that_cannot_be_rendered_differs_by_the_error():
    plan = replace(PLAN, ignition={"error": "no such file"})

    assert plan_change(plan, served(ServedKind.OVERLAY, "{}")).diff.splitlines()[3:] == ["-{}", "+# no such file"]


@pytest.mark.parametrize(("role_sha256", "now"), [("1" * 64, "1" * 64), (None, "none")])
def test_of_the_file_of_the_role_only_the_digest_is_compared(role_sha256: str | None, now: str):
    document = served(ServedKind.ROLE, "secret")
    same = plan_change(replace(PLAN, role_sha256=document.sha256), document)
    other = plan_change(replace(PLAN, role_sha256=role_sha256), document)

    assert (same.differs, other.differs) == (False, True)
    assert other.diff.splitlines()[2:] == ["@@ -1 +1 @@", f"-sha256 {document.sha256}", f"+sha256 {now}"]


def test_of_a_text_that_was_too_long_to_keep_only_the_digest_is_compared():
    document = served(ServedKind.SCRIPT, "x" * (LONGEST_TEXT + 1))

    assert plan_change(PLAN, document).diff.splitlines()[3] == f"-sha256 {document.sha256}"
