"""Which acknowledged changes have no line in the audit trail."""

from datetime import UTC, datetime, timedelta

from reliability.acknowledged import AuditedChange
from reliability.audit_trail import AuditLine, unaudited

BEGAN = datetime(2026, 11, 30, tzinfo=UTC)
ACTION, SUBJECT = "set ignition", "worker"


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def changed(began_s: float, *, action: str = ACTION, subject: str = SUBJECT) -> AuditedChange:
    return AuditedChange(action, subject, at(began_s), at(began_s + 1))


def test_each_change_has_a_line_of_its_time():
    changes = [changed(0), changed(2), changed(2, action="set host", subject="d1")]
    lines = [AuditLine(at(2.5), "set host", "d1"), *(AuditLine(at(seconds), ACTION, SUBJECT) for seconds in (0.5, 3))]

    assert unaudited(changes, lines) == []


def test_a_line_of_a_change_that_was_not_acknowledged_hides_no_loss():
    lines = [AuditLine(at(seconds), ACTION, SUBJECT) for seconds in (0.5, 1.5, 5)]

    assert unaudited([changed(0), changed(2)], lines) == [changed(2)]


def test_a_line_of_another_action_or_subject_hides_no_loss():
    lines = [AuditLine(at(0.5), ACTION, "init"), AuditLine(at(0.5), "set host", SUBJECT)]

    assert unaudited([changed(0)], lines) == [changed(0)]


def test_a_line_is_of_one_change():
    assert unaudited([changed(0), changed(0.2)], [AuditLine(at(0.5), ACTION, SUBJECT)]) == [changed(0.2)]
