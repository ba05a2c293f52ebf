"""The query in which an iPXE reports its machine: what is read of it, and that nothing of it is an error."""

import pytest

from netboot.model.boot.machine_facts import IPXE_QUERY, LONGEST_FACT, MachineFact, facts_in

# As iPXE 1.0.0+git-20190125.36a4c85-5.1 sent it from QEMU: manufacturer `Dell Inc. & Söhne+`, serial `ABC%20 x=1`.
OF_2019 = (
    "manufacturer=Dell%20Inc.%20&%20S%FFFFFFFFFFFFC3%FFFFFFFFFFFFB6hne+&product=PowerEdge%20R650%20%231"
    "&serial=ABC%2520%20x=1&uuid=00000000-0000-0000-0000-000000000000&asset=&ipxe=1.0.0+git-20190125.36a4c85-5.1"
    "&buildarch=i386&platform=pcbios&switch=&switch_port=&bogus="
)


def test_the_query_of_a_real_ipxe_is_read():
    assert facts_in(OF_2019) == {
        MachineFact.MANUFACTURER: "Dell Inc.",  # it sends a & as it is
        MachineFact.PRODUCT: "PowerEdge R650 #1",
        MachineFact.SERIAL: "ABC%20 x=1",
        MachineFact.UUID: "00000000-0000-0000-0000-000000000000",
        MachineFact.IPXE: "1.0.0+git-20190125.36a4c85-5.1",
        MachineFact.BUILDARCH: "i386",
        MachineFact.PLATFORM: "pcbios",
    }


def test_each_parameter_of_the_script_is_one_that_is_read():
    assert list(facts_in(IPXE_QUERY)) == list(MachineFact)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("&&=&==&?", {}),
        ("serial", {}),
        ("serial=%20%20", {}),
        ("SERIAL=1&bogus=2&serial_=3", {}),
        ("serial=1&serial=2", {MachineFact.SERIAL: "1"}),
        ("serial=%1b%5b2J%0a", {MachineFact.SERIAL: r"\x1b[2J"}),
        ("serial=%FF%00", {MachineFact.SERIAL: "\\ufffd\\x00"}),
        ("serial=%C3%B6", {MachineFact.SERIAL: r"\xf6"}),
        ("serial=S%FFFFFFFFFFFFC3%FFFFFFC3", {MachineFact.SERIAL: r"S\ufffd\ufffd"}),
        ("serial=%zz%4", {MachineFact.SERIAL: "%zz%4"}),
        ("serial=" + "x" * 500, {MachineFact.SERIAL: "x" * LONGEST_FACT}),
        ("serial=" + "%C3%B6" * 500, {MachineFact.SERIAL: (r"\xf6" * 64)[:LONGEST_FACT]}),
        ("x=1&" * 40 + "serial=1", {}),
    ],
)
def test_a_value_is_one_bounded_line_and_nothing_is_an_error(query: str, expected: dict[MachineFact, str]):
    assert facts_in(query) == expected
