"""Secrets in the declaration of a host, and in documents that have them."""

import json
import shlex
from urllib.parse import quote

import pytest

from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.host_secrets import (
    argument_for_anybody,
    document_shown,
    free_values,
    host_shown,
    is_public_argument,
    secret_values,
    without_values,
)
from netboot.model.host.mac import Mac

HOST = Host(
    HostName("cp1"),
    Role.WORKER,
    (Mac.parse("52:54:00:aa:bb:01"),),
    variables={
        "site": "r1",
        "root_password": 'a\'b "c" d',
        "apiKey": "abcd",
        "token_id": "abc",
        "url": "http://u:p@x/",
    },
    kernel_arguments=("rd.iscsi.password=longest-of-all", "console=ttyS0", "quiet"),
)


def test_the_values_that_are_named_as_secrets_are_listed_the_longest_first():
    assert secret_values(HOST) == ("longest-of-all", 'a\'b "c" d', "abcd")


def test_a_host_is_shown_without_them():
    shown = host_shown(HOST)

    assert shown.variables == {
        "site": "r1",
        "root_password": "hidden",
        "apiKey": "hidden",
        "token_id": "hidden",
        "url": "http://hidden@x/",
    }
    assert shown.kernel_arguments == ("rd.iscsi.password=hidden", "console=ttyS0", "quiet")
    assert (shown.name, shown.macs) == (HOST.name, HOST.macs)


@pytest.mark.parametrize("quoted", [shlex.quote, quote, json.dumps, lambda value: quote(value, safe="")])
def test_a_value_is_hidden_however_a_document_quotes_it(quoted):
    value = 'a\'b "c"\\/d ü'

    assert without_values(f"x {quoted(value)} y", [value]).replace("'", "").replace('"', "") == "x hidden y"


def test_a_document_has_neither_values_nor_other_passwords():
    assert document_shown("rootpw x1\npassword abcd\n", ["abcd"]) == "rootpw hidden\npassword hidden\n"


@pytest.mark.parametrize(
    ("argument", "is_public", "shown"),
    [
        ("console=ttyS0,115200n8", True, "console=ttyS0,115200n8"),
        ("quiet", True, "quiet"),
        ("site.key=x1", False, "site.key=hidden"),
        ("x1Y2", False, "hidden"),
        ("=quiet", False, "=hidden"),
    ],
)
def test_a_kernel_argument_is_public_by_its_name_or_as_a_plain_word(argument: str, is_public: bool, shown: str):
    assert (is_public_argument(argument), argument_for_anybody(argument)) == (is_public, shown)


def test_the_free_text_of_a_host_is_that_of_its_variables_and_other_arguments():
    assert set(free_values(HOST)) == {*HOST.variables.values(), "longest-of-all"}
