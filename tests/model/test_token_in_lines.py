"""Tokens in lines of logs: whole ones, and parts of the tokens of an install."""

import pytest

from netboot.model import urls
from netboot.model.install.token import HIDDEN_TOKEN, Tokens, without_tokens, without_tokens_in_bytes

TOKENS = Tokens("0123456789abcdef0123456789abcdef", "f" * 32, "")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("inst.ks=http://192.0.2.10:8080/ks/" + TOKENS.kickstart, f"inst.ks=http://192.0.2.10:8080/ks/{HIDDEN_TOKEN}"),
        ("of another install: " + "ab" * 16, f"of another install: {HIDDEN_TOKEN}"),
        ("http://192.0.2.10:8080/ks/0123456789abc", f"http://192.0.2.10:8080/ks/{HIDDEN_TOKEN}"),
        ("89abcdef inst.ks.sendmac", f"{HIDDEN_TOKEN} inst.ks.sendmac"),
        ("deadbeef01 sha256 " + "ab" * 32, "deadbeef01 sha256 " + "ab" * 32),
        (f"joined: 00{TOKENS.kickstart}deadbeef", f"joined: {HIDDEN_TOKEN}"),
        ("0123", "0123"),
    ],
)
def test_tokens_and_their_parts_are_hidden(line: str, expected: str):
    assert without_tokens(line, TOKENS) == expected


@pytest.mark.parametrize("area", ["ks", "inspect", "ign", "report", "node"])
def test_a_part_of_an_unknown_token_is_hidden_where_a_url_has_one(area: str):
    assert (
        urls.without_tokens_in_paths(f"http://192.0.2.10:8080/{area}/01ab") == f"http://192.0.2.10:8080/{area}/hidden"
    )
    assert urls.without_tokens_in_paths(f"/{area}/xyz") == f"/{area}/xyz"


def test_the_receiver_of_logs_is_named_by_the_address_that_the_machine_uses():
    assert urls.log_server("http://192.0.2.10:8080", 514) == "192.0.2.10:514"
    assert urls.log_server("http://192.0.2.10:8080", 0) == ""


def test_what_can_be_a_token_in_a_packet_is_replaced_in_place():
    packet = b"\0\1/ks/" + TOKENS.kickstart.encode() + b"\0octet\0"

    assert without_tokens_in_bytes(packet) == b"\0\1/ks/" + b"x" * 32 + b"\0octet\0"
