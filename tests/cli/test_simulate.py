"""`netboot simulate` before it sends anything: its lists, and wrong usage with the right one."""

import json
from ipaddress import IPv4Interface

import click
import pytest
from click.testing import CliRunner, Result

from netboot.cli.commands.simulation.interface_choice import chosen_interface
from netboot.cli.main import cli
from netboot.probe.behaviours import BEHAVIOURS
from netboot.probe.firmwares.profiles import PROFILES

ETH0, ETH1 = IPv4Interface("192.0.2.66/24"), IPv4Interface("198.51.100.7/24")


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["simulate", *arguments])


def test_firmware_and_deviations_are_listed_as_text_and_as_json():
    assert [line.split()[0] for line in simulate("--list-firmware").output.splitlines()] == [*PROFILES]
    assert [each["name"] for each in json.loads(simulate("--json", "--list-firmware").output)] == [*PROFILES]
    assert [each["name"] for each in json.loads(simulate("--list-behaviours", "--json").output)] == [
        each.name for each in BEHAVIOURS
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--mac", "zz"], "'zz' is not a MAC address; write it as 52:54:00:aa:bb:01"),
        (["--address", "192.0.2.50"], "has no network; write it as 192.0.2.50/24"),
        (["--address", "x"], "write it as 192.0.2.50/24"),
        (["--slow", "3"], "no rate of at least 1k"),
        (["--until", "failed"], "'failed' is not one of 'offer'"),
        (["--firmware", "nope"], "'nope' is not one of 'bios'"),
        (["--behave", "nope"], "is not one of 'off-during-loader'"),
        (["--loss", "100"], "0<=x<=90"),
        (["--token-file", "token"], "belong to --api URL"),
        (["--force"], "--force belongs to --spend"),
        (["--api", "http://192.0.2.10:8470"], "would send the token in clear text"),
        (["--api", "https://192.0.2.10", "--ca", "/none"], "cannot read certificates in /none"),
        (["--api", "https://192.0.2.10", "--token-file", "/none"], "cannot read an API token in /none"),
    ],
)
def test_wrong_usage_is_named_with_the_right_one(arguments: list[str], text: str):
    result = simulate(*arguments)

    assert result.exit_code == 2
    assert text in " ".join(result.output.split())


def test_the_only_interface_with_an_address_is_chosen():
    assert chosen_interface(None, {"eth0": [ETH0], "eth1": []}) == "eth0"
    assert chosen_interface("eth1", {"eth0": [ETH0], "eth1": []}) == "eth1"


@pytest.mark.parametrize(
    ("wanted", "addresses", "text"),
    [
        (None, {"eth0": [ETH0], "eth1": [ETH1]}, "several interfaces have an IPv4 address"),
        (None, {"eth0": []}, "no interface has an IPv4 address"),
        ("eth9", {"eth0": [ETH0]}, "no interface eth9; there are: eth0 (192.0.2.66/24)"),
    ],
)
def test_without_one_choice_the_interfaces_are_listed(
    wanted: str | None, addresses: dict[str, list[IPv4Interface]], text: str
):
    with pytest.raises(click.UsageError, match="eth0") as caught:
        chosen_interface(wanted, addresses)

    assert text in str(caught.value)
