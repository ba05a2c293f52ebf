"""The first page as data: filters and order of the URL, counts, what needs attention."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from netboot.admin.pages.rack import rack_view as rack_view_module
from netboot.admin.pages.rack.rack_filter import SORT_KEYS, RackFilter
from netboot.admin.pages.rack.rack_page import csv_text
from netboot.admin.pages.rack.rack_view import ColumnLink, CountLink, rack_view, usual
from netboot.admin.pages.updates.updates_views import UpdateAttention
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.boot_record import BootPlan, BootRecord
from netboot.model.boot.causes.cause import Cause, CauseSeverity
from netboot.model.boot.expected_durations import Expected, Wait
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.model.install.install import Arming, Install, InstallState
from netboot.operate.boots.boot_history import ShownBoot
from netboot.operate.boots.boot_waits import WaitStatus
from netboot.operate.rack.rack_overview import Rack
from netboot.operate.rack.rack_row import HostRow

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ARMING = Arming(NOW, "x", 3)


def host(name: str, number: int, **fields: Any) -> Host:
    return Host(
        **{"name": HostName(name), "role": Role.WORKER, "macs": (Mac(f"52:54:00:aa:bb:{number:02x}"),)} | fields
    )


CP1 = host("cp1", 1, role=Role.CONTROL_PLANE, groups=("edge",))
W1 = host("w1", 2, labels={"row": "a"})
W2 = host("w2", 3, labels={"row": "b"})
FACTS = {MachineFact.PRODUCT: "X1", MachineFact.SERIAL: "S-77"}
FAILED = HostRow(
    W1,
    Install(W1.name, InstallState.FAILED, NOW),
    cause=Cause("install-failed", "no disk", (), "add it", CauseSeverity.ERROR, NOW),
)
READY = HostRow(
    CP1,
    Install(CP1.name, InstallState.READY, NOW - timedelta(hours=1)),
    machine=Machine(CP1.mac, NOW, NOW, facts=FACTS),
    event=Event("install.moved", NOW, CP1.name),
)
ARMED = HostRow(W2, Install(W2.name, arming=ARMING))
RACK = Rack([READY, FAILED, ARMED])


def overdue(name: str, number: int) -> HostRow:
    declared = host(name, number)
    record = BootRecord(declared.name, declared.mac, NOW, NOW, plan=BootPlan.INSTALL)
    wait = WaitStatus(Wait(Step.KERNEL, NOW, Expected(2, 5, 60)), True)
    return HostRow(declared, Install(declared.name), boot=ShownBoot(record, wait=wait))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["cp1", "w1", "w2"]),
        ({"state": "failed"}, ["w1"]),
        ({"state": "armed"}, ["w2"]),
        ({"role": "worker"}, ["w1", "w2"]),
        ({"label": "row=a"}, ["w1"]),
        ({"label": "row"}, []),
        ({"group": "edge"}, ["cp1"]),
        ({"attention": "1"}, ["w1"]),
        ({"q": "s-77"}, ["cp1"]),
        ({"q": "ROW=B"}, ["w2"]),
        ({"q": "52:54:00:aa:bb:02"}, ["w1"]),
        ({"q": "<script>"}, []),
        ({"role": "worker", "state": "armed", "q": "w"}, ["w2"]),
        ({"sort": "name", "order": "desc"}, ["w2", "w1", "cp1"]),
        ({"sort": "state"}, ["w1", "cp1", "w2"]),
        ({"sort": "since"}, ["cp1", "w1", "w2"]),
        ({"sort": "model"}, ["cp1", "w1", "w2"]),
        ({"sort": "model", "order": "desc"}, ["cp1", "w1", "w2"]),
        ({"sort": "nonsense"}, ["cp1", "w1", "w2"]),
        ({"unknown": "x"}, ["cp1", "w1", "w2"]),
    ],
)
def test_the_query_of_the_url_selects_and_orders(query: Mapping[str, str], names: list[str]):
    assert [row.host.name for row in rack_view(RACK, RackFilter.of_query(query)).rows] == names


@pytest.mark.parametrize("key", SORT_KEYS)
def test_every_column_sorts_hosts_that_have_nothing_last(key: str):
    bare = HostRow(host("a", 9), Install(HostName("a")))
    for order in ("", "desc"):
        rows = RackFilter(sort=key, order=order).applied([bare, *RACK.rows])
        assert len(rows) == 4


def test_numbers_in_names_are_ordered_as_numbers():
    names = ["w10", "w9", "w9a", "w", "10", "9", "cp2", "w1-10", "w1-9"]
    rows = [HostRow(host(name, 9), Install(HostName(name))) for name in names]

    found = [row.host.name for row in RackFilter().applied(rows)]

    assert found == ["9", "10", "cp2", "w", "w1-9", "w1-10", "w9", "w9a", "w10"]


def test_a_filter_is_its_url_and_a_url_its_filter():
    wanted = RackFilter(state="failed", q="a&b=c", sort="mac", order="desc")

    url = wanted.url()

    assert url == "/?state=failed&q=a%26b%3Dc&sort=mac&order=desc"
    assert RackFilter().url() == "/"
    assert wanted.url("/rack.csv", state="", sort="name", order="", q="") == "/rack.csv"


def test_the_counts_are_links_and_a_state_that_none_has_is_left_out():
    counts = rack_view(RACK, RackFilter(state="ready", role="worker")).counts

    assert list(counts) == [
        CountLink("hosts", 3, "/?role=worker", False, "all"),
        CountLink("need attention", 1, "/?role=worker&attention=1", False, "attention"),
        CountLink("armed", 1, "/?state=armed&role=worker", False, "armed"),
        CountLink("registered", 1, "/?state=registered&role=worker", False, "state"),
        CountLink("ready", 1, "/?role=worker", True, "state"),
        CountLink("failed", 1, "/?state=failed&role=worker", False, "state"),
    ]


def test_a_column_sorts_and_the_sorted_one_turns_round():
    first = {each.label: each for each in rack_view(RACK, RackFilter(q="w")).columns}
    second = {each.label: each for each in rack_view(RACK, RackFilter(sort="mac", order="desc")).columns}

    assert first["Name"] == ColumnLink("Name", "/?q=w&order=desc", "ascending")
    assert first["MAC"] == ColumnLink("MAC", "/?q=w&sort=mac", None)
    assert second["MAC"] == ColumnLink("MAC", "/?sort=mac", "descending")


def test_attention_has_one_sentence_and_one_button_for_each_host():
    faulty = HostRow(host("w3", 4, faults=("no release",)), Install(HostName("w3")))
    rack = Rack([READY, overdue("w9", 9), FAILED, faulty], unregistered=2)

    updates = [UpdateAttention("updates-0", "updates", "/updates", "1.33 differs", "")]

    rows = rack_view(rack, RackFilter(), updates).attention

    assert [(each.subject, each.sentence, each.cure, each.label, each.url, each.is_error) for each in rows] == [
        ("w1", "no disk", "add it", "Arm again", "/hosts/w1/arm", True),
        (
            "w9",
            "w9 waits for the transfer of the kernel, which is overdue (usually 2 s, at most 1 min; the default)",
            "",
            "Show w9",
            "/hosts/w9",
            False,
        ),
        ("w3", "no release", "", "Show w3", "/hosts/w3", False),
        ("updates", "1.33 differs", "", "Show the updates", "/updates", False),
        ("2 machines", "requested a boot, and no host has their MACs", "", "Approve", "/machines", False),
    ]


def test_a_single_machine_that_is_not_registered_is_one():
    (row,) = rack_view(Rack([], unregistered=1), RackFilter()).attention

    assert (row.subject, row.sentence) == ("1 machine", "requested a boot, and no host has this MAC")


def test_of_many_hosts_that_need_attention_the_first_are_listed_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(rack_view_module, "MOST_ATTENTION", 2)

    view = rack_view(Rack([overdue(f"w{number}", number) for number in range(5)]), RackFilter())

    assert ([each.subject for each in view.attention], view.attention_left_out) == (["w0", "w1"], 3)


def test_the_page_offers_the_roles_groups_and_labels_that_hosts_have():
    view = rack_view(RACK, RackFilter())

    assert (view.roles, view.groups, view.labels) == (["control-plane", "worker"], ["edge"], ["row=a", "row=b"])
    assert (view.total, view.is_running, rack_view(Rack([overdue("w9", 9)]), RackFilter()).is_running) == (
        3,
        False,
        True,
    )
    assert usual(READY) == ""


def test_no_spreadsheet_takes_a_value_of_a_machine_for_a_formula():
    facts = {MachineFact.PRODUCT: '=HYPERLINK("http://x")', MachineFact.SERIAL: "+1"}
    hostile = HostRow(CP1, Install(CP1.name, arming=ARMING), machine=Machine(CP1.mac, NOW, NOW, facts=facts))

    text = csv_text([hostile, FAILED])

    assert text.splitlines()[1:] == [
        'cp1,control-plane,registered,yes,,,52:54:00:aa:bb:01,"\'=HYPERLINK(""http://x"")",\'+1,,,,',
        "w1,worker,failed,no,2026-11-21T12:00:00+00:00,,52:54:00:aa:bb:02,,,,,,no disk",
    ]
