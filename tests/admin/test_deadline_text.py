"""When the secrets in an Ignition file end, as commands and pages show it."""

from datetime import UTC, datetime, timedelta

import pytest

from netboot.admin.json_views import json_view
from netboot.admin.texts.deadline_text import deadline_texts
from netboot.model.host.role_ignition import Deadline, SecretKind


@pytest.mark.parametrize(
    ("left", "shown"),
    [
        (timedelta(hours=23, minutes=59, seconds=30), "bootstrap token until {at} UTC (in 23 h 59 min)"),
        (timedelta(hours=1, seconds=30), "bootstrap token until {at} UTC (in 1 h 0 min)"),
        (timedelta(minutes=59, seconds=30), "bootstrap token until {at} UTC (in 59 min)"),
        (timedelta(seconds=-1), "bootstrap token ended at {at} UTC"),
    ],
)
@pytest.mark.parametrize("is_estimate", [False, True])
def test_a_deadline_has_its_time_and_what_is_left_until_then(left: timedelta, shown: str, is_estimate: bool):
    at = datetime.now(UTC) + left
    deadline = Deadline(SecretKind.BOOTSTRAP, at - timedelta(days=1), at, is_estimate)
    estimate = ", counted from the file's modification time" if is_estimate else ""

    assert deadline_texts(json_view([deadline])) == [shown.format(at=f"{at:%Y-%m-%d %H:%M}") + estimate]
