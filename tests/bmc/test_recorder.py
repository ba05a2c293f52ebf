"""The record of a probe: what identifies the machine and its owner is not in it, and it can be served again."""

import asyncio
import io
import json
import zipfile
from pathlib import Path

import pytest
from fixtures.bmc_host import a_host
from fixtures.redfish_answers import AnsweringBmc, answering_bmc, answers_of, recorded_answers
from fixtures.redfish_emulator import PASSWORD, USER
from fixtures.wrong_bmc import ROOT, WrongBmc, wrong_bmc

from netboot.bmc.bmcs import Bmcs
from netboot.bmc.probing.recorder import MOST_RESOURCES, Recorder
from netboot.model.bmc.bmc import Bmc
from netboot.model.bmc.probe import Probe

DELL = "/redfish/v1/Systems/System.Embedded.1"


def record(bmcs: Bmcs, bmc: AnsweringBmc) -> tuple[Probe, bytes]:
    recorder = Recorder()
    with answering_bmc(bmc) as url:
        probe = asyncio.run(bmcs.call(a_host(Bmc(url)), lambda machine: machine.probe(recorder)))
    return probe, recorder.archive(probe)


def files(archive: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def test_a_record_has_no_secret_and_no_identity(bmcs: Bmcs):
    bmc = answers_of("dell-r760")
    bmc.resources[f"{DELL}"] |= {
        "HostName": "cp1.secret-site.example",
        "Oem": {"Dell": {"ChassisServiceTag": "7ABCDE3", "Note": "tag 7ABCDE3 at 203.0.113.77, c0:ff:ee:00:11:22"}},
        "Location": {"PostalAddress": {"Street": "Secret Road 1"}},
    }
    _, archive = record(bmcs, bmc)

    whole = "\n".join(files(archive).values())
    for private in (
        *("CNFCP0031N00F1", "7ABCDE3", "4c4c4544", "secret-site", "203.0.113.77", "c0:ff:ee", "hunter2", "Secret Road"),
        *("52:54:00", USER, PASSWORD, "127.0.0.1"),
    ):
        assert private.lower() not in whole.lower(), private
    for kept in ("PowerEdge R760", "7.10.30.00", "NIC.Integrated.1-1-1", "HttpDev1Uri", "Dell Inc."):
        assert kept in whole


def test_a_record_has_what_a_bug_report_needs(bmcs: Bmcs):
    _, archive = record(bmcs, answers_of("dell-r760"))

    assert sorted(files(archive)) == [
        "netboot.json",
        "redfish/v1/Managers/iDRAC.Embedded.1/index.json",
        "redfish/v1/Managers/index.json",
        "redfish/v1/SessionService/index.json",
        f"{DELL[1:]}/Bios/Settings/index.json",
        f"{DELL[1:]}/Bios/index.json",
        f"{DELL[1:]}/EthernetInterfaces/NIC.Integrated.1-1-1/index.json",
        f"{DELL[1:]}/EthernetInterfaces/NIC.Slot.3-1-1/index.json",
        f"{DELL[1:]}/EthernetInterfaces/index.json",
        f"{DELL[1:]}/index.json",
        "redfish/v1/Systems/index.json",
        "redfish/v1/index.json",
    ]
    about = json.loads(files(archive)["netboot.json"])
    assert (about["synthetic"], about["probe"]["model"], about["probe"]["quirks"]) == (
        False,
        "PowerEdge R760",
        ["standard", "dell"],
    )
    assert about["probe"]["url"].startswith("http://hidden:")


@pytest.mark.parametrize("name", ["dell-r760", "supermicro-x12", "ami-asrockrack", "openbmc-ibm"])
def test_a_record_can_be_served_again_with_the_same_table(bmcs: Bmcs, tmp_path: Path, name: str):
    first, archive = record(bmcs, answers_of(name))
    (tmp_path / "probe.zip").write_bytes(archive)

    second, again = record(bmcs, recorded_answers(tmp_path / "probe.zip"))

    of_machine = {"machine"}  # its MACs are others
    assert [row for row in first.abilities if row.ability not in of_machine] == [
        row for row in second.abilities if row.ability not in of_machine
    ]
    assert (first.vendor, first.model, first.firmware, first.quirks) == (
        second.vendor,
        second.model,
        second.firmware,
        second.quirks,
    )
    assert sorted(files(again)) == sorted(files(archive))


def test_the_same_answers_make_the_same_archive(bmcs: Bmcs):
    recorder = Recorder()
    with answering_bmc(answers_of("supermicro-x12")) as url:
        probe = asyncio.run(bmcs.call(a_host(Bmc(url)), lambda machine: machine.probe(recorder)))

    assert recorder.archive(probe) == recorder.archive(probe)


def test_of_a_bmc_with_several_machines_the_others_are_left_out(bmcs: Bmcs):
    bmc = answers_of("supermicro-x12")
    bmc.resources["/redfish/v1/Systems/2"] = {"Id": "2", "SerialNumber": "OTHER"}
    bmc.resources["/redfish/v1/Systems"]["Members"].append({"@odata.id": "/redfish/v1/Systems/2"})
    recorder = Recorder()

    with answering_bmc(bmc) as url:
        probe = asyncio.run(bmcs.call(a_host(Bmc(url, system="1")), lambda machine: machine.probe(recorder)))

    assert not any(name.startswith("redfish/v1/Systems/2") for name in files(recorder.archive(probe)))


def test_a_bmc_with_endless_resources_is_left_in_time(bmcs: Bmcs):
    def endless(bmc: WrongBmc) -> None:
        path = bmc.path.rstrip("/")
        number = len(bmc.seen)
        found = {"Id": "1", "Members": [{"@odata.id": f"/redfish/v1/Managers/{number}{letter}"} for letter in "ab"]}
        if path == "/redfish/v1":
            found = ROOT
        elif path == "/redfish/v1/Systems":
            found = {"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}
        bmc.send(200, found)

    recorder = Recorder()
    with wrong_bmc(endless) as (url, seen):
        probe = asyncio.run(bmcs.call(a_host(Bmc(url)), lambda machine: machine.probe(recorder), limit_s=60))

    assert len(files(recorder.archive(probe))) <= MOST_RESOURCES + 1
    assert len(seen) < 2 * MOST_RESOURCES
