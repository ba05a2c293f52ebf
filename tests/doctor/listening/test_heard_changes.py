"""Each machine is shown once for each change, and a flood is bounded."""

from netboot.doctor.listening.heard_changes import CHANGES, KEPT, LINES, WINDOW_S, HeardChanges


def test_what_did_not_change_is_shown_once_for_each_aspect() -> None:
    changes = HeardChanges()

    shown = [changes.is_news("m", aspect, found, now_s=1) for aspect, found in ["a1", "a1", "b1", "a2", "a2", "b1"]]

    assert shown == [True, False, True, True, False, False]
    assert changes.left_out == 0


def test_one_machine_shows_a_few_lines_only() -> None:
    changes = HeardChanges()

    shown = [changes.is_news("m", "a", number, now_s=100.0 * number) for number in range(2 * CHANGES)]

    assert (sum(shown), changes.left_out) == (CHANGES, CHANGES)


def test_all_machines_show_a_few_lines_in_a_time() -> None:
    changes = HeardChanges()

    first = sum(changes.is_news(number, "a", 1, now_s=0.0) for number in range(3 * LINES))
    later = changes.is_news("new", "a", 1, now_s=WINDOW_S)

    assert (first, later, changes.left_out) == (LINES, True, 2 * LINES)


def test_the_oldest_machine_is_forgotten() -> None:
    changes = HeardChanges()
    for number in range(2 * KEPT):
        changes.is_news(number, "a", 1, now_s=WINDOW_S * number)

    assert len(changes._subjects) == KEPT
    assert changes.is_news(0, "a", 1, now_s=WINDOW_S * 3 * KEPT)
