"""What is read of the appliance can be shown as JSON, with every key; what is not known is null."""

from pathlib import Path

from netboot.admin.json_views import json_view
from netboot.operate.appliance.appliance_facts import ApplianceFacts, DiskSpace, InterfaceFacts, SettingInForce


def test_facts_of_the_appliance_have_every_key_and_paths_as_texts():
    disks = [DiskSpace("content", Path("/srv"), 10, 4), DiskSpace("store", Path("/x"), problem="No such file")]
    facts = ApplianceFacts(
        {"netboot": "1.0"}, disks, [InterfaceFacts("s0", ["192.0.2.10/24"], True, False, 1500, True)]
    )

    assert json_view(facts) == {
        "versions": {"netboot": "1.0"},
        "disks": [
            {"holds": "content", "path": "/srv", "total_bytes": 10, "free_bytes": 4, "problem": None},
            {"holds": "store", "path": "/x", "total_bytes": 0, "free_bytes": 0, "problem": "No such file"},
        ],
        "interfaces": [
            {
                "name": "s0",
                "addresses": ["192.0.2.10/24"],
                "is_up": True,
                "has_carrier": False,
                "mtu_bytes": 1500,
                "serves_boots": True,
            }
        ],
    }


def test_a_setting_that_no_file_has_has_no_place():
    assert json_view(SettingInForce("log.level", "info", "Minimum log level.")) == {
        "key": "log.level",
        "value": "info",
        "description": "Minimum log level.",
        "file": None,
        "line": None,
        "waits_for_restart": False,
    }
