"""Hosts are selected by role and labels; all labels must hold, and a selection without a host is an error."""

import pytest

from netboot.errors import UnknownHostError
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.operate.selection import EVERY_HOST, HostSelection


def a_host(name: str, role: Role, **labels: str) -> Host:
    return Host(HostName(name), role, (Mac.parse("52:54:00:aa:bb:01"),), labels=labels)


HOSTS = [
    a_host("cp1", Role.CONTROL_PLANE, rack="r1"),
    a_host("w1", Role.WORKER, rack="r1", row="a"),
    a_host("w2", Role.WORKER, rack="r2", row="a"),
]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (HostSelection("worker"), ["w1", "w2"]),
        (HostSelection(labels={"rack": "r1"}), ["cp1", "w1"]),
        (HostSelection("worker", {"rack": "r1"}), ["w1"]),
        (HostSelection(labels={"row": "a", "rack": "r2"}), ["w2"]),
    ],
)
def test_role_and_every_label_must_hold(selection: HostSelection, expected: list[str]):
    assert selection.names(HOSTS) == [host.name for host in selection.of(HOSTS)] == expected
    assert not selection.is_all


def test_every_host_is_listed_but_none_is_changed_without_a_name_a_role_or_a_label():
    assert [host.name for host in EVERY_HOST.of(HOSTS)] == ["cp1", "w1", "w2"]
    with pytest.raises(UnknownHostError, match="no host is named; name hosts, or select them by role or label"):
        EVERY_HOST.names(HOSTS)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (HostSelection("workers"), "no host has role workers; netboot host list shows the hosts"),
        (
            HostSelection("control-plane", {"rack": "r2", "row": ""}),
            "no host has role control-plane and label rack=r2 and label row=; netboot host list shows the hosts",
        ),
    ],
)
def test_a_selection_without_a_host_is_an_error(selection: HostSelection, message: str):
    assert selection.of(HOSTS) == []
    with pytest.raises(UnknownHostError) as refused:
        selection.names(HOSTS)
    assert str(refused.value) == message
