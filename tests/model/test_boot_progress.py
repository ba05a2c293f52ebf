"""How far a transfer is: percent, rate and time left, and what is not known of it."""

import pytest

from netboot.model.boot.boot_progress import BootProgress, RunningTransfer
from netboot.model.install.event import Step


def progress(share: float, **values: object) -> BootProgress:
    given = {"sent": 0, "size_bytes": 1000, "seconds": 10.0, **values}
    return BootProgress.of(Step.OSTREE, "ock", share, **given)  # type: ignore[arg-type]


def test_the_rate_and_the_time_left_are_averages_since_the_begin():
    assert progress(0.25, sent=250) == BootProgress(Step.OSTREE, "ock", 250, 1000, 25, 25.0, 30.0)


def test_what_came_before_a_restart_counts_for_the_share_and_not_for_the_rate():
    found = progress(0.75, sent=750, size_bytes=None, before=(0.5, 500))

    assert found == BootProgress(Step.OSTREE, "ock", 750, None, 75, 25.0, 10.0)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"sent": 0}, id="nothing-came"),
        pytest.param({"sent": 250, "seconds": 0.0}, id="no-time-passed"),
        pytest.param({"sent": 500, "before": (0.25, 500)}, id="nothing-came-since-the-restart"),
    ],
)
def test_without_bytes_or_time_there_is_no_rate(values: dict[str, object]):
    found = progress(0.25, **values)

    assert (found.bytes_per_s, found.seconds_left) == (None, None)


def test_bytes_that_bring_no_progress_have_a_rate_and_no_end():
    found = progress(0.25, sent=600, before=(0.25, 500))

    assert (found.bytes_per_s, found.seconds_left) == (10.0, None)


def test_a_running_transfer_shows_how_much_was_sent():
    sent = [0]
    transfer = RunningTransfer(Step.INITRD, "initrd.img", 100, 50.0, lambda: sent[0])
    empty = RunningTransfer(Step.LOADER, "empty.efi", 0, 50.0, lambda: 0)

    before, sent[0] = transfer.progress(50.0), 40

    assert before == BootProgress(Step.INITRD, "initrd.img", 0, 100, 0, None, None)
    assert transfer.progress(54.0) == BootProgress(Step.INITRD, "initrd.img", 40, 100, 40, 10.0, 6.0)
    assert empty.progress(51.0).percent == 100
