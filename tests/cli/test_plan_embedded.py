"""`netboot plan` and `check` where `install.ignition` is `embed`."""

import base64
import json
import os
from typing import Any

import pytest
from fixtures.command_line import CommandLine

from netboot.ignition.check import read_ignition
from netboot.ignition.resource import content_of


@pytest.fixture
def embedding(netboot: CommandLine) -> CommandLine:
    netboot.config.write_text(f"{netboot.config.read_text()}install: {{ignition: embed}}\n")
    return netboot


def planned(netboot: CommandLine, *options: str) -> dict[str, Any]:
    return dict(netboot.json("plan", "cp1", *options)["cp1"])


def test_the_kernel_line_names_no_url_and_the_kickstart_fetches_the_archive(embedding: CommandLine):
    plan = planned(embedding)

    assert "ignition.config.url" not in plan["kernel_lines"]["installed"]
    assert "ignition.firstboot=1" in plan["kernel_lines"]["installed"]
    assert "http://127.0.0.1:8080/ign/IGNITION-TOKEN/archive" in plan["kickstart"]
    assert "ignition.config.url" not in plan["kickstart"]


def test_the_merged_document_is_that_of_a_first_boot_that_fetches_it_and_the_unit_that_forgets_it(netboot: CommandLine):
    fetched = json.loads(planned(netboot, "--show-secrets")["ignition"]["merged"])
    netboot.config.write_text(f"{netboot.config.read_text()}install: {{ignition: embed}}\n")
    embedded = json.loads(planned(netboot, "--show-secrets")["ignition"]["merged"])

    files, units = embedded["storage"]["files"], embedded["systemd"]["units"]
    assert [each for each in files if each["path"] != "/etc/netboot/forget-ignition"] == fetched["storage"]["files"]
    assert [each for each in units if each["name"] != "netboot-forget-ignition.service"] == fetched["systemd"]["units"]
    assert (len(files), len(units)) == (
        len(fetched["storage"]["files"]) + 1,
        len(fetched["systemd"]["units"]) + 1,
    )
    assert embedded["passwd"] == fetched["passwd"]


def test_the_wrapper_holds_both_and_shows_no_secret(embedding: CommandLine):
    role = (embedding.directory / "ign/init.ign").read_bytes()

    shown = json.loads(planned(embedding)["ignition"]["wrapper"])
    whole = read_ignition(planned(embedding, "--show-secrets")["ignition"]["wrapper"].encode()).config

    assert [each["source"].partition(",")[0] for each in shown["ignition"]["config"]["merge"]] == ["hidden"] * 2
    assert content_of(whole["ignition"]["config"]["merge"][0]) == role
    assert "archive" not in planned(embedding)["ignition"]


def test_a_document_that_an_initramfs_does_not_hold_is_a_problem_of_its_host(embedding: CommandLine):
    file = embedding.directory / "ign/init.ign"
    config = json.loads(file.read_text())
    content = base64.b64encode(os.urandom(5 << 19)).decode()
    config["storage"]["files"].append({"path": "/opt/large", "contents": {"source": f"data:;base64,{content}"}})
    file.write_text(json.dumps(config))

    checked = embedding("check")

    assert checked.exit_code == 1
    assert (
        "hosts.cp1: cannot embed the Ignition of cp1: it has 4.5 MiB, and an initramfs takes 4 MiB at most; "
        f"set install.ignition: url, or shorten {file}"
    ) in checked.stderr


def test_a_file_that_fetches_more_is_a_warning_of_check(embedding: CommandLine):
    file = embedding.directory / "ign/init.ign"
    config = json.loads(file.read_text())
    config["storage"]["files"].append({"path": "/opt/a", "contents": {"source": "https://files.example.com/a"}})
    file.write_text(json.dumps(config))

    assert f"install.ignition is embed, and {file} fetches from https://files.example.com" in embedding("check").stderr
