"""Secrets in the declaration of a host, and in documents that have them."""

import json
import shlex
from urllib.parse import quote

import pytest

from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.host_secrets import document_shown, host_shown, secret_values, without_values
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
