"""Leaves out a finding whose sentence an earlier area has already, as the reason why a host cannot be installed."""

from collections.abc import Sequence
from dataclasses import replace

from netboot.doctor.doctor_finding import AreaReport


def without_repeated(reports: Sequence[AreaReport]) -> list[AreaReport]:
    """Return the reports; of findings with one sentence, that of the first area is kept, which may say more."""
    said: list[str] = []
    kept = []
    for report in reports:
        findings = tuple(each for each in report.findings if not any(each.sentence in text for text in said))
        said += [each.sentence for each in findings]
        kept.append(replace(report, findings=findings))
    return kept
