"""UUIDs and serial numbers that firmware vendors left as they were are found among reported facts."""

from uuid import UUID

import pytest

from netboot.model.host.placeholders import (
    identifying_facts,
    is_placeholder_serial,
    placeholder_note,
    placeholder_uuid,
)

AMI = "03000200-0400-0500-0006-000700080009"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (AMI, AMI),
        (AMI.upper(), AMI),
        ("00020003000400050006000700080009", AMI),  # as DHCP option 97 has it
        (AMI.replace("-", ""), AMI),
        ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"),
        ("f" * 32, "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ("000102030405060708090a0b0c0d0e0f", "03020100-0504-0706-0809-0a0b0c0d0e0f"),
        ("4c4c4544-0042-3510-8052-b3c04f4b4e32", None),
        ("no uuid", None),
        ("", None),
    ],
)
def test_a_placeholder_is_found_in_either_byte_order(text: str, expected: str | None):
    assert placeholder_uuid(text) == (expected and UUID(expected))


@pytest.mark.parametrize(
    "text",
    [
        *("To be filled by O.E.M.", "To Be Filled By O.E.M.", "Default string", "Default_string"),
        *("None", "N/A", "Unknown"),
        *("0123456789", "123456789", "1234567890", "12345", "0", "00000000", "XXXXXXXX", "System Serial Number"),
        *("Not Specified", "OEM", "Chassis Serial Number"),
    ],
)  # fmt: skip
def test_a_serial_number_of_many_machines_is_a_placeholder(text: str):
    assert is_placeholder_serial(text)


@pytest.mark.parametrize("text", ["", "J1KXV52", "1234", "9876543210", "CZ123456", "012345678X", "SGH1"])
def test_any_other_serial_number_is_none(text: str):
    assert not is_placeholder_serial(text)


def test_identifying_facts_are_found_at_any_depth_by_their_key():
    facts = {
        "mac": "52:54:00:aa:bb:01",
        "uuid": AMI,
        "reported": {"serial": "Default string", "asset_tag": "", "disks": [{"serial": "S3Z1"}], "product": "X11"},
        "last_seen": 7,
    }

    assert identifying_facts(facts) == {
        "uuid": AMI,
        "reported.serial": "Default string",
        "reported.disks.serial": "S3Z1",
    }


def test_a_note_names_the_fact_and_why_it_identifies_no_machine():
    assert [
        placeholder_note("uuid", "00020003000400050006000700080009"),
        placeholder_note("uuid", "4c4c4544-0042-3510-8052-b3c04f4b4e32"),
        placeholder_note("reported.serial", "Default string"),
        placeholder_note("reported.serial", "J1KXV52"),
    ] == [
        f"uuid {AMI} is a placeholder: the default of AMI's firmware",
        "",
        "reported.serial 'Default string' is a placeholder that many machines have",
        "",
    ]
