"""How a hardware address is read: every usual spelling, Ethernet and InfiniBand."""

import pytest

from netboot.model.host.mac import Mac

GUID = "b8:ce:f6:03:00:31:33:3e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("52:54:00:AA:BB:01", "52:54:00:aa:bb:01"),
        ("52-54-00-aa-bb-01", "52:54:00:aa:bb:01"),
        ("5254.00aa.bb01", "52:54:00:aa:bb:01"),
        (" 525400aabb01 ", "52:54:00:aa:bb:01"),
        ("01-52-54-00-aa-bb-01", "52:54:00:aa:bb:01"),
        (GUID, GUID),
        ("B8-CE-F6-03-00-31-33-3E", GUID),
        ("b8ce.f603.0031.333e", GUID),
        ("b8cef6030031333e", GUID),
        ("20-b8-ce-f6-03-00-31-33-3e", GUID),
        (f"80:00:00:48:fe:80:00:00:00:00:00:00:{GUID}", GUID),
        (f"00:00:10:49:fe:80:00:00:00:00:00:00:{GUID}", GUID),
    ],
)
def test_every_usual_spelling_is_one_address(text: str, expected: str):
    mac = Mac.parse(text)

    assert mac == expected
    assert mac.is_infiniband is (expected == GUID)
    assert Mac.parse(mac.hyphenated) == mac


@pytest.mark.parametrize(
    "text",
    [
        "",
        "52:54:00:aa:bb",
        "52:54:00:aa:bb:01:02",
        "01:00:5e:00:00:01",
        "00:00:00:00:00:00",
        "00:00:00:00:00:00:00:00",
        "b9:ce:f6:03:00:31:33:3e",
        f"20:{GUID}:00",
        f"21-{GUID}",
        f"20:80:00:00:48:fe:80:00:00:00:00:00:00:{GUID}",
        "b8:ce:f6:03:00:31:33:3g",
        "80:00:00:48:fe:80:00:00:00:00:00:00:00:00:00:00:00:00:00:00",
    ],
)
def test_what_is_neither_a_card_nor_a_port_is_refused(text: str):
    with pytest.raises(ValueError, match=r"is (not a MAC address|neither a unicast)"):
        Mac.parse(text)


def test_an_identity_that_is_no_address_has_one_locally_administered_address():
    first, again, other = (Mac.standing_for(identity) for identity in (b"guid 1", b"guid 1", b"guid 2"))

    assert first == again != other
    assert first.startswith("02:")
    assert len(Mac.standing_for(b"guid 1", length=8)) == len(GUID)
