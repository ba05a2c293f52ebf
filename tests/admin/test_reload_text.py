"""The output of a reload: one line for each action that an operator may have to take."""

from netboot.admin.texts.reload_text import report


def test_a_reload_that_took_everything_is_one_line():
    taken = {"hosts": 1, "needs_restart": [], "armings_ended": [], "problems": []}

    assert report(taken) == ["reloaded: 1 host"]


def test_what_waits_for_a_restart_what_ended_and_what_is_wrong_has_a_line_each():
    taken = {"hosts": 2, "needs_restart": ["dhcp", "log"], "armings_ended": ["cp1"], "problems": ["cp1: no disk"]}
    warned = {**taken, "warnings": ["its /etc/hosts differs"]}

    assert report(warned) == [
        "reloaded: 2 hosts",
        "changed, and in force after systemctl restart netboot: dhcp, log",
        "the arming of cp1 ended: netboot install history cp1",
        "problem: cp1: no disk",
        "warning: its /etc/hosts differs",
    ]
