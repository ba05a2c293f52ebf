"""`host inspect` and `host rescue` on the store while no daemon runs."""

from fixtures.command_line import CommandLine


def test_a_rescue_of_several_hosts_is_requested_shown_and_cancelled(netboot: CommandLine):
    requested = netboot.printed("host", "rescue", "cp1", "w1")
    shown = [netboot.json("host", "show", name)["next_boot"] for name in ("cp1", "w1")]
    ended = netboot.json("host", "rescue", "cp1", "w1", "--cancel")

    assert requested.splitlines() == [
        "cp1 boots the rescue mode of ol8u10-x86_64 at its next network boot",
        "w1 boots the rescue mode of ol8u10-x86_64 at its next network boot",
    ]
    assert [(each["kind"], each["medium"]) for each in shown] == [("rescue", "ol8u10-x86_64")] * 2
    assert [each["machine"] for each in ended] == ["cp1", "w1"]
    assert [netboot.json("host", "show", name)["next_boot"] for name in ("cp1", "w1")] == [None, None]


def test_a_cancellation_names_no_medium_and_states_what_it_ended(netboot: CommandLine):
    wrong = netboot("host", "rescue", "cp1", "--cancel", "--medium", "ol8u10-x86_64")
    netboot.printed("host", "rescue", "cp1", "--medium", "ol8u10-x86_64")

    assert (wrong.exit_code, "--cancel needs no --medium" in wrong.output) == (2, True)
    assert netboot.printed("host", "rescue", "cp1", "--cancel") == "cp1 boots no rescue\n"


def test_an_inspection_has_its_medium_and_where_its_result_is_shown(netboot: CommandLine):
    assert netboot.printed("host", "inspect", "cp1") == (
        "cp1 is inspected at its next network boot with ol8u10-x86_64; afterwards: netboot host show cp1\n"
    )
