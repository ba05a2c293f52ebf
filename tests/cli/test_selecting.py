"""`KEY=VALUE` arguments become the patch of a host's values; what cannot be read is a usage error."""

from typing import Any

import click
import pytest

from netboot.cli.commands.hosts.selecting import patch_of


@pytest.mark.parametrize(
    ("assignments", "patch"),
    [
        (["role=worker", "disk="], {"role": "worker", "disk": None}),
        (["network.address=192.0.2.7/24", "network.mtu=9000"], {"network": {"address": "192.0.2.7/24", "mtu": 9000}}),
        (["mac=52:54:00:aa:bb:01", "mac=52:54:00:aa:bb:02"], {"mac": ["52:54:00:aa:bb:01", "52:54:00:aa:bb:02"]}),
        (["kernel_arguments=console=ttyS0,115200"], {"kernel_arguments": "console=ttyS0,115200"}),
        (["ntp=[192.0.2.1, ntp.example]"], {"ntp": ["192.0.2.1", "ntp.example"]}),
        (["network.routes=[{to: 198.51.100.0/24, via: 192.0.2.9}]"],
         {"network": {"routes": [{"to": "198.51.100.0/24", "via": "192.0.2.9"}]}}),
        (["disk={serial: '0123', rotational: false}"], {"disk": {"serial": "0123", "rotational": False}}),
        (["disk.rotational=false", "disk.serial=0123"], {"disk": {"rotational": False, "serial": "0123"}}),
        (["labels.topology.example.org/rack=r1"], {"labels": {"topology.example.org/rack": "r1"}}),
        (["variables.x=null", "variables.y=~", "variables.z=no"], {"variables": {"x": "null", "y": "~", "z": "no"}}),
        (["+ntp=192.0.2.1", "network.+search=a.example"], {"+ntp": "192.0.2.1", "network": {"+search": "a.example"}}),
    ],
)  # fmt: skip
def test_assignments_are_a_patch(assignments: list[str], patch: dict[str, Any]):
    assert patch_of(assignments) == patch


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["role"], "'role' is not KEY=VALUE, as network.address=192.0.2.101/24"),
        (["=worker"], "'=worker' is not KEY=VALUE, as network.address=192.0.2.101/24"),
        (["network..mtu=1"], "'network..mtu=1' is not KEY=VALUE, as network.address=192.0.2.101/24"),
        (["labels=", "labels.a=b"], "labels.a is in labels, which is one value here"),
        (["network.mtu=1", "network="], "network is one value and a table of values here"),
        (
            ["ntp=[a"],
            "ntp:1:3: is not YAML (expected ',' or ']', but got '<stream end>'); correct the indentation, quotes or "
            "brackets here or just above (a VALUE that begins with [ or { is YAML)",
        ),
    ],
)
def test_what_is_no_assignment_is_a_usage_error(assignments: list[str], message: str):
    with pytest.raises(click.UsageError) as refused:
        patch_of(assignments)
    assert refused.value.message == message
