"""The documents of `netboot plan` have the URL that the machine gets."""

import re

import pytest
from fixtures.command_line import CommandLine


def url(netboot: CommandLine) -> str:
    [found] = set(re.findall(r"http://[^/\s]+", netboot.json("plan", "cp1")["cp1"]["kickstart"]))
    return str(found)


@pytest.mark.parametrize(
    ("network", "http", "expected"),
    [
        ("interfaces: [lo]", "{}", "http://127.0.0.1:8080"),
        ("interfaces: [nosuch0, lo]", "{port: 8081}", "http://127.0.0.1:8081"),
        ("interfaces: [{name: lo, address: 192.0.2.10}]", "{}", "http://192.0.2.10:8080"),
        ("interfaces: [{name: lo, advertise: 203.0.113.1}]", "{}", "http://203.0.113.1:8080"),
        ("interfaces: [nosuch0]", "{listen: [192.0.2.11]}", "http://192.0.2.11:8080"),
        ("interfaces: [nosuch0]", "{}", "http://SERVER:8080"),
    ],
)
def test_a_url_has_the_address_of_the_first_interface_that_has_one(
    netboot: CommandLine, network: str, http: str, expected: str
):
    lines = [line for line in netboot.config.read_text().splitlines() if not line.startswith(("network:", "http:"))]
    netboot.config.write_text("\n".join([*lines, f"network: {{{network}}}", f"http: {http}", ""]))

    assert url(netboot) == expected
