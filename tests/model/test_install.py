"""The table of installs: what moves, what does not, and when an arming ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from netboot.errors import TransitionError
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.install.checks import CheckResult, InstallCheck
from netboot.model.install.install import (
    NEEDS_ARMING,
    TRANSITIONS,
    Install,
    InstallEvent,
    InstallState,
    InstallTarget,
    Tokens,
)
from netboot.model.release import RemoteRelease

CP1 = HostName("cp1")
NOW = datetime(2026, 11, 21, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
E = InstallEvent
S = InstallState


def an_armed_install(*, attempts: int = 3) -> Install:
    return Install(CP1).armed(at=NOW, reason="test", attempts=attempts)


def tokens(letter: str) -> Tokens:
    return Tokens(letter * 32, letter * 32, letter * 32)


def test_the_straight_line_ends_ready_and_disarmed():
    install = an_armed_install()

    states = []
    for event in (E.OFFER_SENT, E.SCRIPT_SENT, E.REPORTED_STARTED, E.REPORTED_DONE, E.IGNITION_SENT, E.REPORTED_READY):
        install = install.moved_by(event, at=LATER)
        states.append((install.state, install.is_armed))

    assert states == [
        (S.OFFERED, True),
        (S.LOADING, True),
        (S.INSTALLING, True),
        (S.INSTALLED, False),
        (S.INSTALLED, False),
        (S.READY, False),
    ]


def test_a_repeated_event_changes_nothing():
    install = an_armed_install().moved_by(E.OFFER_SENT, at=NOW)

    assert install.moved_by(E.OFFER_SENT, at=LATER) == install


@pytest.mark.parametrize("event", sorted(NEEDS_ARMING))
@pytest.mark.parametrize("state", list(S))
def test_nothing_leads_an_unarmed_host_towards_an_installer(state: InstallState, event: InstallEvent):
    with pytest.raises(TransitionError, match="cp1 is not armed"):
        Install(CP1, state).moved_by(event, at=NOW)


def test_a_cancelled_installer_may_not_begin_to_write():
    install = an_armed_install().moved_by(E.SCRIPT_SENT, at=NOW).cancelled()

    with pytest.raises(TransitionError):
        install.moved_by(E.REPORTED_STARTED, at=NOW)


def test_a_late_end_is_an_end_also_after_cancel_and_failure():
    cancelled = an_armed_install().moved_by(E.SCRIPT_SENT, at=NOW).cancelled()
    failed = an_armed_install().moved_by(E.SCRIPT_SENT, at=NOW).moved_by(E.REPORTED_FAILED, at=NOW)

    assert cancelled.moved_by(E.REPORTED_DONE, at=NOW).state is S.INSTALLED
    assert failed.moved_by(E.REPORTED_DONE, at=NOW).state is S.INSTALLED
    assert not failed.moved_by(E.REPORTED_DONE, at=NOW).is_armed


def test_each_boot_into_the_installer_spends_one_attempt_and_draws_new_tokens():
    first = an_armed_install().booting_the_installer(tokens("a"), at=NOW)
    second = first.booting_the_installer(tokens("b"), at=LATER)

    assert first.arming is not None
    assert second.arming is not None
    assert (first.arming.spent, first.tokens) == (1, tokens("a"))
    assert (second.arming.spent, second.tokens) == (2, tokens("b"))


def test_a_spent_arming_allows_no_further_boot_into_the_installer():
    spent = an_armed_install(attempts=1).booting_the_installer(tokens("a"), at=NOW)

    with pytest.raises(TransitionError) as refused:
        spent.booting_the_installer(tokens("b"), at=LATER)

    assert str(refused.value) == ("cp1 has spent every boot into the installer of its arming; netboot install arm cp1")


def test_a_failure_keeps_the_arming_while_attempts_are_left_and_ends_it_with_the_last():
    first = an_armed_install(attempts=2).booting_the_installer(tokens("a"), at=NOW).moved_by(E.REPORTED_FAILED, at=NOW)
    last = first.booting_the_installer(tokens("b"), at=NOW).moved_by(E.REPORTED_FAILED, at=NOW)

    assert (first.state, first.is_armed) == (S.FAILED, True)
    assert (last.state, last.is_armed) == (S.FAILED, False)


def test_arming_in_the_middle_of_an_install_says_what_to_do():
    running = an_armed_install().moved_by(E.SCRIPT_SENT, at=NOW)

    with pytest.raises(TransitionError) as refused:
        running.armed(at=LATER, reason="again", attempts=3)

    assert str(refused.value) == (
        "cp1 is loading under its arming of 2026-11-21 00:00; let it end, or netboot install cancel cp1 first"
    )


def test_arming_again_forgets_the_tokens_of_the_install_before():
    ready = Install(CP1, S.READY, tokens=tokens("a"))

    assert ready.armed(at=NOW, reason="again", attempts=3).tokens == Tokens()


def test_tokens_do_not_show_in_a_repr():
    assert "aaaa" not in repr(Install(CP1, tokens=tokens("a")))


@given(some.lists(some.sampled_from(list(E)), max_size=40))
def test_whatever_happens_an_arming_allows_no_more_boots_into_the_installer_than_it_says(events: list[InstallEvent]):
    install = an_armed_install()
    boots = 0

    for event in events:
        try:
            if event is E.SCRIPT_SENT:
                install = install.booting_the_installer(tokens("a"), at=NOW)
                boots += 1
            else:
                install = install.moved_by(event, at=NOW)
        except TransitionError:
            continue

    assert boots <= 3


@given(some.sampled_from(list(S)), some.sampled_from(list(E)))
def test_what_is_not_in_the_table_did_not_happen(state: InstallState, event: InstallEvent):
    install = an_armed_install().__class__(CP1, state, arming=an_armed_install().arming)

    if event in TRANSITIONS[state]:
        assert install.moved_by(event, at=NOW).state is TRANSITIONS[state][event]
    else:
        with pytest.raises(TransitionError):
            install.moved_by(event, at=NOW)


MAC, OTHER_MAC = Mac.parse("52:54:00:aa:bb:01"), Mac.parse("52:54:00:aa:bb:02")
TARGET = InstallTarget(frozenset({MAC, OTHER_MAC}), "/dev/vda", "ock-1.31", "a" * 64)


def a_host(*macs: Mac) -> Host:
    return Host(CP1, Role.WORKER, macs, release="ock-1.31", disk="/dev/vda")


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        pytest.param(InstallTarget.of(a_host(OTHER_MAC, MAC), "a" * 64), [], id="the-order-of-macs-does-not-matter"),
        pytest.param(
            replace(TARGET, macs=frozenset({MAC})),
            ["its MACs changed from 52:54:00:aa:bb:01, 52:54:00:aa:bb:02 to 52:54:00:aa:bb:01"],
            id="a-card-less",
        ),
        pytest.param(
            replace(TARGET, disk=None), ["its disk changed from /dev/vda to none"], id="no-disk-is-another-disk"
        ),
        pytest.param(
            replace(TARGET, release="ock-1.32", commit="b" * 64),
            ["its release changed from ock-1.31 to ock-1.32"],
            id="another-release-is-said-once",
        ),
        pytest.param(
            replace(TARGET, commit="b" * 64),
            ["its release ock-1.31 named commit aaaaaaaaaaaa and names bbbbbbbbbbbb now"],
            id="an-alias-was-promoted",
        ),
        pytest.param(replace(TARGET, commit=None), [], id="a-release-that-cannot-be-read-now-is-no-other-release"),
        pytest.param(
            replace(TARGET, disk="/dev/vdb", release=None),
            ["its disk changed from /dev/vda to /dev/vdb", "its release changed from ock-1.31 to none"],
            id="everything-that-changed-is-listed",
        ),
        pytest.param(None, ["it is no longer declared in the hosts files"], id="removed"),
    ],
)
def test_an_arming_holds_for_one_machine_one_disk_and_one_release(now: InstallTarget | None, changes: list[str]):
    install = Install(CP1).armed(at=NOW, reason="test", attempts=3, target=TARGET)

    assert install.arming_changes(now) == changes
    assert install.cancelled().arming_changes(now) == []


def test_an_arming_that_is_bound_to_nothing_holds_for_nothing():
    assert an_armed_install().arming_changes(TARGET) == [
        "it was armed by an earlier version of netboot, which did not record MACs, disk and release"
    ]


GOOD = tuple(InstallCheck(name, CheckResult.PASS, "as it should be") for name in ("firmware", "disk", "members"))
BAD = (*GOOD, InstallCheck("memory", CheckResult.FAIL, "512 MiB"))


def test_checks_that_passed_are_kept_and_the_install_goes_on():
    install = an_armed_install().booting_the_installer(tokens("a"), at=NOW).checked(GOOD, at=LATER)

    assert (install.state, install.checks, install.has_failed_checks) == (S.LOADING, GOOD, False)
    assert install.checked(GOOD, at=LATER) == install
    assert install.moved_by(E.REPORTED_STARTED, at=LATER).state is S.INSTALLING


def test_after_a_failed_check_a_host_has_failed_and_may_not_start_though_it_stays_armed():
    install = an_armed_install(attempts=1).booting_the_installer(tokens("a"), at=NOW).checked(BAD, at=LATER)

    assert (install.state, install.is_armed, install.has_failed_checks) == (S.FAILED, True, True)
    assert install.checked(BAD, at=LATER) == install
    for event in (E.OFFER_SENT, E.SCRIPT_SENT, E.CHECKS_PASSED, E.REPORTED_STARTED):
        with pytest.raises(TransitionError, match="a check of cp1 failed, so it waits; netboot install arm cp1"):
            install.moved_by(event, at=LATER)
    assert install.moved_by(E.REPORTED_FAILED, at=LATER).is_armed  # no boot is left, but none is needed to wait


@pytest.mark.parametrize(("reported", "other"), [(GOOD, GOOD[::-1]), (BAD, BAD[::-1]), (BAD, GOOD)])
def test_a_machine_reports_its_checks_once_in_a_boot(
    reported: tuple[InstallCheck, ...], other: tuple[InstallCheck, ...]
):
    install = an_armed_install().booting_the_installer(tokens("a"), at=NOW).checked(reported, at=LATER)

    with pytest.raises(TransitionError, match="cp1 reported other checks in this boot before"):
        install.checked(other, at=LATER)


def test_a_check_that_fails_after_all_passed_ends_the_install_too():
    install = an_armed_install().booting_the_installer(tokens("a"), at=NOW).checked(GOOD, at=LATER)

    failed = install.checked(BAD, at=LATER)

    assert (failed.state, failed.checks) == (S.FAILED, BAD)


def test_a_new_arming_and_a_new_boot_begin_without_checks():
    booted = an_armed_install().booting_the_installer(tokens("a"), at=NOW)
    failed = booted.checked(BAD, at=LATER)

    assert failed.armed(at=LATER, reason="again", attempts=3).checks == ()
    assert booted.checked(GOOD, at=LATER).booting_the_installer(tokens("b"), at=LATER).checks == ()
    assert failed.cancelled().checks == BAD


@pytest.mark.parametrize("state", [S.REGISTERED, S.INSTALLING, S.INSTALLED, S.READY])
def test_checks_are_refused_where_no_installer_is_expected(state: InstallState):
    install = replace(an_armed_install(), state=state)

    for checks in (GOOD, BAD):
        with pytest.raises(TransitionError):
            install.checked(checks, at=NOW)


def test_the_target_names_a_release_only_if_this_appliance_has_it():
    remote = RemoteRelease("https://ostree.example.org/ock", "ock-1.31")
    releases = ["ock-1.31", remote, None]

    found = [InstallTarget.of(replace(a_host(MAC), release=each), None) for each in releases]

    assert [each.release for each in found] == ["ock-1.31", "ock-1.31 of https://ostree.example.org/ock", None]
    assert [each.local_release for each in found] == ["ock-1.31", None, None]


def test_a_disk_that_may_be_released_is_another_target():
    host = Host(CP1, Role.WORKER, (Mac("52:54:00:aa:bb:01"),), disk="/dev/vda")
    before, after = InstallTarget.of(host, None), InstallTarget.of(replace(host, release_members=True), None)

    assert before.changes(after) == ["its disk changed from /dev/vda to /dev/vda, its members released"]
