"""Power and one-time boots by sushy-tools' emulator, a Redfish service that we did not write."""

import asyncio
import hashlib
import io
import ssl
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.bmc_host import a_host
from fixtures.certificates import server_pair
from fixtures.redfish_emulator import EmulatedMachine, emulated_bmc

from netboot.bmc.bmcs import Bmcs
from netboot.bmc.probing.recorder import Recorder
from netboot.errors import BmcError
from netboot.model.bmc.bmc import Bmc, BmcCertificate, BmcTrust, NetworkBoot
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.power.power import PowerState, ResetAction


def test_the_power_state_is_read(bmcs: Bmcs, host: Host, machine: EmulatedMachine):
    before = asyncio.run(bmcs.call(host, lambda each: each.state()))
    machine.power = "On"
    after = asyncio.run(bmcs.call(host, lambda each: each.state()))

    assert (before, after) == (PowerState.OFF, PowerState.ON)


@pytest.mark.parametrize(
    ("power", "action", "resets", "state"),
    [
        ("Off", ResetAction.ON, ["On"], PowerState.ON),
        ("On", ResetAction.OFF, ["ForceOff"], PowerState.OFF),
        ("On", ResetAction.CYCLE, ["ForceRestart"], PowerState.ON),
    ],
)
def test_an_action_sends_its_first_type_of_reset(
    bmcs: Bmcs, host: Host, machine: EmulatedMachine, power, action, resets, state
):
    machine.power = power

    asyncio.run(bmcs.call(host, lambda each: each.power(action)))

    assert machine.resets == resets
    assert asyncio.run(bmcs.call(host, lambda each: each.state())) == state


def test_a_type_of_reset_that_is_refused_is_followed_by_the_next(bmcs: Bmcs, host: Host, machine: EmulatedMachine):
    machine.power, machine.refused_resets = "On", frozenset({"ForceRestart"})

    asyncio.run(bmcs.call(host, lambda each: each.power(ResetAction.CYCLE)))

    assert machine.resets == ["ForceRestart", "ForceOff", "On"]
    assert machine.power == "On"


def test_a_refusal_of_what_is_so_already_is_a_success(bmcs: Bmcs, host: Host, machine: EmulatedMachine):
    machine.power, machine.refused_resets = "On", frozenset({"On", "ForceOn"})

    asyncio.run(bmcs.call(host, lambda each: each.power(ResetAction.ON)))

    assert (machine.power, machine.resets) == ("On", ["On"])


def test_every_type_of_reset_is_refused(bmcs: Bmcs, host: Host, machine: EmulatedMachine):
    machine.refused_resets = frozenset({"On", "ForceOn"})

    with pytest.raises(BmcError) as caught:
        asyncio.run(bmcs.call(host, lambda each: each.power(ResetAction.ON)))

    assert str(caught.value) == (
        "cannot change the power of cp1: the BMC refused it (HTTP 400: ForceOn is not possible now); "
        "netboot bmc probe cp1 shows what it can do"
    )
    assert (caught.value.fault, caught.value.is_outcome_unknown) == ("refused", False)
    assert machine.resets == ["On", "ForceOn"]


def test_a_machine_boots_by_pxe_once(bmcs: Bmcs, host: Host, machine: EmulatedMachine):
    asyncio.run(bmcs.call(host, lambda each: [each.boot_once(NetworkBoot.PXE), each.power(ResetAction.ON)]))
    asyncio.run(bmcs.call(host, lambda each: each.power(ResetAction.CYCLE)))

    assert (machine.boots, machine.boot_mode) == (["Pxe", "Hdd"], "UEFI")


def test_a_boot_that_the_bmc_accepts_and_does_not_do_is_a_fault(bmcs: Bmcs, host: Host, machine: EmulatedMachine):
    """The emulator sets PXE if HTTP is requested."""
    with pytest.raises(BmcError) as caught:
        asyncio.run(bmcs.call(host, lambda each: each.boot_once(NetworkBoot.HTTP)))

    assert caught.value.fault == "not-in-force"
    assert caught.value.reason == (
        "the BMC accepted it, and then reports BootSourceOverrideEnabled: Continuous, BootSourceOverrideTarget: Pxe"
    )


def test_a_bmc_without_boot_progress_reports_none(bmcs: Bmcs, host: Host):
    assert asyncio.run(bmcs.call(host, lambda each: each.boot_progress())) is None


@pytest.mark.parametrize(
    ("macs", "is_verified"),
    [
        (("52:54:00:00:00:99", "52-54-00-AA-BB-01"), True),
        ((), True),
        (("00:00:00:00:00:00", "not available"), True),
        (("00:00:00:00:00:00", "52:54:00:00:00:99", "52:54:00:00:00:98"), False),
    ],
)
def test_a_machine_whose_cards_are_others_is_not_that_of_the_host(
    bmcs: Bmcs, host: Host, machine: EmulatedMachine, macs: tuple[str, ...], is_verified: bool
):
    machine.macs = macs
    if is_verified:
        asyncio.run(bmcs.call(host, lambda each: each.verify_host()))
        return

    with pytest.raises(BmcError) as caught:
        asyncio.run(bmcs.call(host, lambda each: each.verify_host()))
    assert str(caught.value) == (
        "cannot use the BMC of cp1: its cards have the MACs 52:54:00:00:00:99, 52:54:00:00:00:98, none of the host; "
        "correct bmc.url or mac; if these are onboard cards of this machine, write one of them as bmc.cards"
    )


def test_a_bmc_that_lists_onboard_cards_only_is_recognised_by_one_that_the_host_names(
    bmcs: Bmcs, host: Host, machine: EmulatedMachine
):
    machine.macs = ("52:54:00:00:00:99",)
    named = replace(host, bmc=replace(host.bmc, cards=(Mac.parse("52-54-00-00-00-99"),)))

    asyncio.run(bmcs.call(named, lambda each: each.verify_host()))
    machine.macs = ("52:54:00:00:00:98",)
    with pytest.raises(BmcError):
        asyncio.run(bmcs.call(named, lambda each: each.verify_host()))


def test_a_host_without_a_card_of_ethernet_is_not_compared(bmcs: Bmcs, host: Host):
    infiniband = replace(host, macs=(Mac.parse("b8:ce:f6:03:00:31:33:3e"),))

    asyncio.run(bmcs.call(infiniband, lambda each: each.verify_host()))


def test_a_machine_that_the_bmc_does_not_have_is_named(bmcs: Bmcs, host: Host, machine: EmulatedMachine):
    other = replace(host, bmc=Bmc(host.bmc.url, system="7"))

    with pytest.raises(BmcError) as caught:
        asyncio.run(bmcs.call(other, lambda each: each.state()))

    assert (caught.value.fault, caught.value.reason, caught.value.cure) == (
        "machine",
        "the BMC has no machine 7",
        f"write one of these as bmc.system: {machine.uuid}",
    )


def test_a_host_without_a_bmc_is_an_error(bmcs: Bmcs, host: Host):
    with pytest.raises(BmcError) as caught:
        asyncio.run(bmcs.call(replace(host, bmc=None), lambda each: each.state()))

    assert str(caught.value) == "cannot use the BMC of cp1: no hosts file names it; set hosts.cp1.bmc first"


def test_a_bmc_with_tls_is_recognised_by_its_digest(bmcs: Bmcs, machine: EmulatedMachine, tmp_path: Path):
    certificate, key = server_pair(tmp_path, "192.0.2.9")
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()

    with emulated_bmc(machine, directory=tmp_path, certificate=(certificate, key)) as url:
        pinned = a_host(Bmc(url, certificate=BmcCertificate(BmcTrust.PIN, sha256=digest)))
        probe = asyncio.run(bmcs.call(pinned, lambda each: each.probe()))

    assert probe.certificate_sha256 == digest
    assert {row.ability.value: row.works.value for row in probe.abilities} == {
        "login": "yes",
        "machine": "yes",
        "power-state": "yes",
        "power-on": "offered",
        "power-off": "offered",
        "power-cycle": "offered",
        "pxe-once": "offered",
        "http-once": "offered",
        "boot-uri": "offered",
        "boot-progress": "no",
    }


def test_a_record_of_the_emulator_has_none_of_its_identities(bmcs: Bmcs, host: Host, machine: EmulatedMachine):
    recorder = Recorder()
    probe = asyncio.run(bmcs.call(host, lambda each: each.probe(recorder)))

    with zipfile.ZipFile(io.BytesIO(recorder.archive(probe))) as archive:
        whole = "".join([*archive.namelist(), *(archive.read(name).decode() for name in archive.namelist())])
    assert machine.uuid not in whole
    assert machine.macs[0] not in whole
    assert "Sushy Emulator" in whole
