"""What the confirmation of an action shows: the hosts, what is typed, whether it can be requested."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from netboot.admin.pages.actions.action_requests import listed
from netboot.admin.pages.actions.action_urls import host_url, hosts_url
from netboot.admin.pages.actions.confirmation import DANGEROUS, Confirmation, ConfirmedHost
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.install.install import Install, InstallState
from netboot.operate.actions.host_verbs import HostAction, HostVerb

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def confirmed(
    name: str,
    verb: HostVerb = HostVerb.ARM,
    *reasons: str,
    state: InstallState = InstallState.REGISTERED,
    disk: str = "/dev/sda",
    **action: Any,
) -> ConfirmedHost:
    host = Host(HostName(name), Role.WORKER, (Mac("52:54:00:aa:bb:01"),), disk=disk, release="ock")
    return ConfirmedHost(host, Install(host.name, state), HostAction(host.name, verb, reasons, **action))


def page(*hosts: ConfirmedHost, verb: HostVerb = HostVerb.ARM) -> Confirmation:
    return Confirmation(verb, hosts, "/?q=w")


@pytest.mark.parametrize(
    ("verb", "states", "typed"),
    [
        (HostVerb.ARM, [InstallState.REGISTERED], None),
        (HostVerb.ARM, [InstallState.OFFERED, InstallState.LOADING], None),
        (HostVerb.ARM, [InstallState.READY], "w0"),
        (HostVerb.ARM, [InstallState.FAILED], "w0"),
        (HostVerb.ARM, [InstallState.REGISTERED, InstallState.INSTALLED], "2 hosts"),
        (HostVerb.WIPE, [InstallState.REGISTERED], "w0"),
        (HostVerb.RETIRE, [InstallState.READY], None),
        (HostVerb.CANCEL, [InstallState.INSTALLING], None),
    ],
)
def test_where_a_disk_may_hold_data_the_operator_types_what_is_wiped(
    verb: HostVerb, states: Sequence[InstallState], typed: str | None
):
    hosts = [confirmed(f"w{number}", verb, state=state) for number, state in enumerate(states)]

    assert page(*hosts, verb=verb).typed == typed


def test_of_several_hosts_all_are_armed_or_the_page_leads_to_those_that_can_be():
    refused = page(confirmed("w1"), confirmed("w2", HostVerb.ARM, "no disk"))
    forced = page(confirmed("w1"), confirmed("w2", HostVerb.ARM, "no disk", is_forcible=True))

    assert (refused.can_be_requested, refused.is_forcible) == (False, False)
    assert (forced.can_be_requested, forced.is_forcible) == (True, True)
    assert refused.without_refused == "/installs/arm?host=w1&back=%2F%3Fq%3Dw"
    assert page(confirmed("w1")).without_refused is None
    assert page(confirmed("w2", HostVerb.ARM, "no disk")).without_refused is None


def test_an_end_leaves_out_the_hosts_that_have_nothing_to_end():
    some = page(
        confirmed("w1", HostVerb.CANCEL), confirmed("w2", HostVerb.CANCEL, "w2 is not armed"), verb=HostVerb.CANCEL
    )
    none = page(confirmed("w2", HostVerb.CANCEL, "w2 is not armed"), verb=HostVerb.CANCEL)

    assert (some.can_be_requested, some.without_refused) == (True, None)
    assert none.can_be_requested is False


@pytest.mark.parametrize("verb", HostVerb)
def test_every_action_has_a_title_and_a_consequence(verb: HostVerb):
    one, many = page(confirmed("w1", verb), verb=verb), page(*[confirmed("w1", verb)] * 3, verb=verb)

    assert "w1" in one.title
    assert "3 hosts" in many.title
    assert one.consequence.endswith(".")


def test_a_warning_of_several_hosts_is_shown_once():
    hosts = [confirmed(name, warnings=["no interface", f"{name} is ready"]) for name in ("w1", "w2")]

    assert page(*hosts).warnings == ["no interface", "w1 is ready", "w2 is ready"]


def test_a_host_that_changed_is_not_what_was_seen():
    seen = page(confirmed("w1")).seen

    assert seen == page(confirmed("w1", warnings=["x"])).seen
    assert seen != page(confirmed("w1", disk="/dev/sdb")).seen
    assert seen != page(confirmed("w1"), confirmed("w2")).seen


@pytest.mark.parametrize("verb", sorted(DANGEROUS))
def test_a_dangerous_form_is_confirmed_anew_after_each_write_and_for_other_reasons(verb: HostVerb):
    before = confirmed("w1", verb, "no release", is_forcible=True)
    written = replace(before, install=replace(before.install, version=before.install.version + 1))
    ready, otherwise = confirmed("w1", verb), confirmed("w1", verb, "no release", "no disk", is_forcible=True)

    found = [page(each, verb=verb).seen for each in (before, written, ready, otherwise)]

    assert len(set(found)) == len(found)


def test_an_end_is_not_delayed_by_a_machine_that_proceeds():
    before = confirmed("w1", HostVerb.CANCEL)
    written = replace(before, install=replace(before.install, version=7))

    assert page(before, verb=HostVerb.CANCEL).seen == page(written, verb=HostVerb.CANCEL).seen


def test_the_url_of_a_confirmation_has_names_of_any_kind():
    assert host_url("a b/c", HostVerb.ARM) == "/hosts/a%20b%2Fc/arm"
    assert hosts_url(["w1", "w&2"], HostVerb.RETIRE) == "/installs/retire?host=w1&host=w%262&back=%2F"


def test_many_hosts_are_named_in_part():
    assert listed(["a", "b"]) == "a, b"
    assert listed([*"abcdefg"]) == "a, b, c, d, e and 2 more"
