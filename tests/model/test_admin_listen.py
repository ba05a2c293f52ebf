"""Where the administration listens: loopback, TLS elsewhere, and never on a boot interface that is not named."""

from ipaddress import ip_address

import pytest

from netboot.model.admin_listen import (
    NO_CERTIFICATE,
    AddressEndpoint,
    AdminEndpoint,
    InterfaceEndpoint,
    PlannedListener,
    closed_interfaces,
    expected_names,
    plan_listeners,
)

HERE = {
    "lo": [ip_address("127.0.0.1"), ip_address("::1")],
    "boot0": [ip_address("192.0.2.10")],
    "mgmt0": [ip_address("10.1.0.5"), ip_address("fd00::5")],
    "spare0": [],
}
LOOPBACK = AddressEndpoint(ip_address("127.0.0.1"), 8470)
MANAGEMENT = AddressEndpoint(ip_address("10.1.0.5"), 8470)
ON_BOOT_LAN = AddressEndpoint(ip_address("192.0.2.10"), 8470)


def planned(*endpoints: AdminEndpoint, boot: str = "boot0", without_tls: str | None = None) -> list[PlannedListener]:
    return plan_listeners(endpoints, HERE, boot_interfaces=[boot], without_tls=without_tls)


def test_an_endpoint_is_shown_as_it_is_written():
    endpoints = (LOOPBACK, AddressEndpoint(ip_address("::1"), 9000), InterfaceEndpoint("mgmt0", 443))

    assert list(map(str, endpoints)) == ["127.0.0.1:8470", "[::1]:9000", "mgmt0:443"]


def test_loopback_and_an_address_of_another_interface_are_served():
    assert planned(LOOPBACK, MANAGEMENT) == [
        PlannedListener(LOOPBACK, (LOOPBACK,)),
        PlannedListener(MANAGEMENT, (MANAGEMENT,)),
    ]


def test_an_address_that_no_interface_has_is_tried():
    absent = AddressEndpoint(ip_address("10.9.9.9"), 8470)

    assert planned(absent) == [PlannedListener(absent, (absent,))]


def test_an_address_of_a_boot_interface_is_refused_with_the_way_to_name_it():
    (found,) = planned(ON_BOOT_LAN)

    assert found == PlannedListener(
        ON_BOOT_LAN,
        problem="admin.listen: 192.0.2.10:8470 is an address of boot0, on which machines boot (network.interfaces); "
        "write boot0:8470 if the administration shall listen there, or name another interface's address",
    )


def test_a_boot_interface_that_is_named_is_served_also_by_its_address():
    named = InterfaceEndpoint("boot0", 8470)

    assert planned(named, ON_BOOT_LAN) == [
        PlannedListener(named, (ON_BOOT_LAN,)),
        PlannedListener(ON_BOOT_LAN, (ON_BOOT_LAN,)),
    ]
    assert closed_interfaces([named], ["boot0", "boot1"]) == {"boot1"}


def test_loopback_is_served_also_if_machines_boot_there():
    assert planned(LOOPBACK, boot="lo") == [PlannedListener(LOOPBACK, (LOOPBACK,))]


def test_an_interface_stands_for_all_its_addresses():
    endpoint = InterfaceEndpoint("mgmt0", 8470)

    assert planned(endpoint) == [PlannedListener(endpoint, (MANAGEMENT, AddressEndpoint(ip_address("fd00::5"), 8470)))]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "eno9",
            "admin.listen: this appliance has no interface eno9; it has boot0, lo, mgmt0, spare0; "
            "correct the name, or add the interface",
        ),
        ("spare0", "admin.listen: spare0 has no address; give it one, or name another interface"),
    ],
)
def test_an_interface_that_is_missing_or_has_no_address_is_a_problem(name: str, problem: str):
    endpoint = InterfaceEndpoint(name, 8470)

    assert planned(endpoint) == [PlannedListener(endpoint, problem=problem)]


def test_without_a_certificate_only_loopback_is_served():
    found = planned(LOOPBACK, MANAGEMENT, InterfaceEndpoint("lo", 80), without_tls=NO_CERTIFICATE)

    assert [each.problem for each in found] == [
        None,
        "admin.listen: 10.1.0.5:8470 is beyond loopback, where only TLS is served; "
        "netboot ca init and netboot ca issue make a certificate; set admin.tls, or name only loopback addresses",
        None,
    ]
    assert [len(each.addresses) for each in found] == [1, 0, 2]


@pytest.mark.parametrize(
    ("endpoints", "public_url", "names"),
    [
        ((LOOPBACK,), None, []),
        ((LOOPBACK, MANAGEMENT, InterfaceEndpoint("mgmt0", 8470)), None, ["10.1.0.5", "fd00::5"]),
        ((InterfaceEndpoint("mgmt0", 8470),), "https://a.example.org:8470", ["a.example.org"]),
        ((MANAGEMENT, InterfaceEndpoint("eno9", 1)), "https://[fd00::5]", ["fd00::5", "10.1.0.5"]),
        ((InterfaceEndpoint("eno9", 1),), None, []),
    ],
)
def test_the_certificate_must_name_the_public_url_and_the_addresses_beyond_loopback(
    endpoints: tuple[AdminEndpoint, ...], public_url: str | None, names: list[str]
):
    assert expected_names(endpoints, HERE, public_url=public_url) == names
