"""The report of the installer's checks: exactly what the template writes is read, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from netboot.model.install.checks import (
    LONGEST_REPORT,
    MOST_CHECKS,
    CheckResult,
    ChecksReport,
    InstallCheck,
    MalformedReportError,
    failures,
    read_checks,
)

PASS, FAIL, SKIPPED = CheckResult
PASSED = tuple(InstallCheck(name, PASS, "ok") for name in ("firmware", "disk", "members"))
TEXT = "netboot-checks 1\nfirmware pass booted by UEFI\nclock skipped no date\ndisks present:\nsda 1G\n"

names = some.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)
sentences = some.text(some.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=400).filter(
    lambda text: not text.startswith(" ") and text != "present:"
)
some_checks = some.lists(
    some.builds(InstallCheck, names, some.sampled_from(CheckResult), sentences),
    min_size=1, max_size=MOST_CHECKS, unique_by=lambda check: check.name,
)  # fmt: skip


def test_a_report_is_read_with_its_disks():
    assert read_checks(TEXT) == ChecksReport(
        (InstallCheck("firmware", PASS, "booted by UEFI"), InstallCheck("clock", SKIPPED, "no date")), "sda 1G"
    )


@given(some_checks)
def test_what_was_found_is_read_as_it_was_written(checks: list[InstallCheck]):
    text = "netboot-checks 1\n" + "".join(f"{check}\n" for check in checks)

    assert read_checks(text).checks == tuple(checks)


@given(some.text() | some.text(some.sampled_from("abc \n-1:passfilkd")).map(lambda text: f"netboot-checks 1\n{text}"))
def test_any_other_text_is_refused_and_never_misread(text: str):
    try:
        report = read_checks(text)
    except MalformedReportError:
        return
    written = "netboot-checks 1\n" + "\n".join(map(str, report.checks))
    assert text.startswith(written)
    assert text[len(written) :].strip("\n").removeprefix("disks present:").strip("\n")[:4096] == report.disks


@pytest.mark.parametrize(
    "text",
    [
        "",
        "netboot-checks 1",
        "netboot-checks 1\n",
        "netboot-checks 2\ndisk pass sda\n",
        "disk pass sda\n",
        "netboot-checks 1\ndisk ok sda\n",
        "netboot-checks 1\ndisk pass\n",
        "netboot-checks 1\ndisk pass \n",
        "netboot-checks 1\nDisk pass sda\n",
        "netboot-checks 1\ndisk pass sda\ndisk fail sdb\n",
        "netboot-checks 1\n\ndisk pass sda\n",
        "netboot-checks 1\r\ndisk pass sda\r\n",
        "netboot-checks 1\ndisk pass s\x1bda\n",
        "netboot-checks 1\ndisk pass größe\n",
        "netboot-checks 1\ndisk pass " + "x" * 401 + "\n",
        "netboot-checks 1\n" + "".join(f"c{number} pass x\n" for number in range(MOST_CHECKS + 1)),
        "netboot-checks 1\ndisk pass sda\ndisks present:\n" + "x" * LONGEST_REPORT,
        "netboot-checks 1\ndisks present:\nsda 1G\n",
    ],
)
def test_a_report_that_is_not_exactly_one_is_refused(text: str):
    with pytest.raises(MalformedReportError):
        read_checks(text)


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        (PASSED, []),
        ((*PASSED, InstallCheck("ntp", SKIPPED, "no chronyd")), []),
        ((*PASSED, InstallCheck("ntp", FAIL, "no answer"), InstallCheck("own", FAIL, "x")), ["no answer", "x"]),
        (PASSED[:2], ["the check of members was not made"]),
        (
            (*PASSED[:2], InstallCheck("members", SKIPPED, "no blkid")),
            ["the check of members was skipped: no blkid"],
        ),
        (
            (PASSED[0], InstallCheck("disk", FAIL, "no disk fits"), InstallCheck("members", SKIPPED, "no disk")),
            ["no disk fits"],
        ),
        ((), [f"the check of {name} was not made" for name in ("firmware", "disk", "members")]),
    ],
)
def test_a_machine_is_installed_if_no_check_failed_and_each_required_one_passed(
    checks: tuple[InstallCheck, ...], expected: list[str]
):
    assert failures(checks) == expected
