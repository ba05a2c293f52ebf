"""What is hidden in the answers of a BMC: by key, by form, and wherever a known identity occurs."""

import json
import time

import pytest
from fixtures.wrong_bmc import within
from hypothesis import given
from hypothesis import strategies as st

from netboot.bmc.probing.masked_answers import LONGEST_TEXT, MaskedAnswers


def masked(answer: object, *secrets: str) -> object:
    [value] = MaskedAnswers({"/redfish/v1": answer}, secrets=secrets).answers().values()
    return value


@pytest.mark.parametrize(
    "key",
    ["Password", "UserName", "SetupPassword", "Iscsi1ChapSecret", "CommunityNames", "AccessToken", "LicenseKey",
     "CertificateString", "api_key"],
)  # fmt: skip
def test_a_secret_is_hidden_by_its_key(key: str):
    assert masked({key: "s3cret", "Nested": [{key: ["s3cret"]}]}) == {key: "hidden", "Nested": [{key: ["hidden"]}]}


@pytest.mark.parametrize("key", ["SerialNumber", "UUID", "HostName", "AssetTag", "WWN", "ChassisServiceTag", "FQDN"])
def test_an_identity_is_replaced_wherever_it_occurs(key: str):
    answer = {key: "ABC-123-XYZ", "Name": "Board ABC-123-XYZ", "@odata.id": "/redfish/v1/Systems/ABC-123-XYZ"}

    assert masked(answer) == {
        key: "IDENTITY0001",
        "Name": "Board IDENTITY0001",
        "@odata.id": "/redfish/v1/Systems/IDENTITY0001",
    }


def test_forms_are_replaced_by_others_of_the_same_form():
    answer = {
        "UUID": "4C4C4544-0041-4210-8043-B7C04F444533",
        "Oem": {"Same": "4c4c4544-0041-4210-8043-b7c04f444533", "Mac": "card AA:BB:CC:DD:EE:01"},
        "IPv4Addresses": [{"Address": "203.0.113.7", "SubnetMask": "255.255.255.0"}],
        "IPv6Addresses": [{"Address": "fe80::1a2b:3c4d"}],
        "FirmwareVersion": "7.10.30.00",
        "BiosVersion": "1.2.3.4",
        "Disabled": "0.0.0.0",
    }

    found = masked(answer)

    assert isinstance(found, dict)
    assert found["UUID"] == found["Oem"]["Same"] == "00000000-0000-4000-8000-000000000001"
    assert found["Oem"]["Mac"].startswith("card 02:00:00:00:00:0")
    assert found["IPv4Addresses"][0]["Address"].startswith("198.18.0.")
    assert found["IPv6Addresses"][0]["Address"].startswith("2001:db8::")
    assert (found["FirmwareVersion"], found["BiosVersion"], found["Disabled"]) == ("7.10.30.00", "1.2.3.4", "0.0.0.0")


@pytest.mark.parametrize(
    ("text", "is_hidden"),
    [
        ("2001:db8::7", True),
        ("2001:0db8:0000:0000:0000:ff00:0042:8329", True),
        ("see [fe80::1a2b:3c4d%eth0].", True),
        ("2001:db8::7/64", True),
        ("1:2:3:4:5:6:7:8", True),
        ("12:30:45", False),
        ("1:2:3:4:5:6:7:8:9", False),
        ("fe80::xyz", False),
        ("::1", False),
    ],
)
def test_what_is_an_address_of_ipv6(text: str, is_hidden: bool):
    found = masked({"Text": text})

    assert (found != {"Text": text}) is is_hidden
    assert ("2001:db8::1" in json.dumps(found)) is is_hidden


@pytest.mark.parametrize(
    "text",
    ["1:2:" + "a" * 40 + "g", "1:" * 30_000 + "g", "-----BEGIN " * 10_000, "1." * 30_000, "0a" * 30_000],
    ids=["digits", "groups", "pem", "numbers", "hexadecimal"],
)
def test_no_text_takes_long(text: str):
    """A search holds the interpreter: the daemon would answer nobody."""
    answers = {f"/redfish/v1/{number}": {"Text": text, text: "x"} for number in range(20)}

    began = time.monotonic()
    MaskedAnswers(answers).answers()

    assert within(2, began)


def test_of_too_many_identities_the_first_answers_are_kept():
    answers = {
        f"/redfish/v1/{number}": {"Serials": [{"SerialNumber": f"{number:03}-{each:05}"} for each in range(900)]}
        for number in range(20)
    }

    began = time.monotonic()
    found = MaskedAnswers(answers).answers()

    assert within(5, began)
    assert list(found) == ["/redfish/v1/0", "/redfish/v1/1"]
    assert "00899" not in json.dumps(found)


def test_a_long_text_is_hidden_as_a_whole():
    assert masked({"Text": "x" * LONGEST_TEXT, "Long": "x" * (LONGEST_TEXT + 1)}) == {
        "Text": "x" * LONGEST_TEXT,
        "Long": "hidden",
    }


def test_paths_and_links_stay_together():
    uuid = "4c4c4544-0041-4210-8043-b7c04f444533"
    answers = {
        "/redfish/v1/Systems": {"Members": [{"@odata.id": f"/redfish/v1/Systems/{uuid}"}]},
        f"/redfish/v1/Systems/{uuid}": {"Id": uuid, "UUID": uuid},
    }

    found = MaskedAnswers(answers).answers()

    assert found["/redfish/v1/Systems"]["Members"][0]["@odata.id"] in found
    assert uuid not in json.dumps(found)


def test_what_says_nothing_is_kept():
    answer = {"SerialNumber": "N/A", "AssetTag": "", "HostName": None, "Password": None, "UUID": 7}

    assert masked(answer) == answer


def test_a_certificate_is_hidden_in_any_text():
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"

    assert masked({"Text": f"before {pem} after"}) == {"Text": "before hidden after"}


def test_given_secrets_are_hidden_in_keys_too():
    assert masked({"root": "the user root", "x": "bmc.example.org"}, "root", "bmc.example.org") == {
        "hidden": "the user hidden",
        "x": "hidden",
    }


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
KEYS = st.sampled_from(["SerialNumber", "Password", "UUID", "Name", "Location", "@odata.id", "Oem"])


@given(st.dictionaries(KEYS | st.text(max_size=5), VALUES, max_size=5), st.sampled_from(["SerialNumber", "WWN"]))
def test_no_form_of_answer_breaks_it_and_no_planted_identity_is_left(answer: dict[str, object], key: str):
    found = masked({"first": answer, key: "PLANTED-4711", "again": {"text": "x PLANTED-4711 y"}})

    assert "PLANTED-4711" not in json.dumps(found)
