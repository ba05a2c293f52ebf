"""What differs per vendor, by sets of answers that were written from public reports: requests, and tables of probes."""

import asyncio
from concurrent.futures import Future
from pathlib import Path

import pytest
from fixtures.bmc_host import a_host
from fixtures.operated_bmcs import OperatedBmcs
from fixtures.redfish_answers import ANSWERS, AnsweringBmc, answering_bmc, answers_of

from netboot.bmc.bmc_connection import BmcConnection
from netboot.bmc.bmc_machine import BmcMachine
from netboot.bmc.bmcs import Bmcs
from netboot.bmc.quirks import read_quirks
from netboot.errors import BmcError, TransitionError
from netboot.model.bmc.bmc import Bmc, NetworkBoot
from netboot.model.bmc.probe import Works
from netboot.model.power.power import PowerState, ResetAction

SHIPPED = Path(__file__).resolve().parents[2] / "assets/bmc/quirks.yaml"
URI = "http://192.0.2.10:8080/bootfiles/snponly.efi"
DELL = "/redfish/v1/Systems/System.Embedded.1"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the pauses between requests instead of waiting."""
    pauses: list[float] = []
    monkeypatch.setattr(BmcConnection, "pause", lambda _self, seconds: pauses.append(seconds))
    return pauses


def call(bmcs: Bmcs, bmc: AnsweringBmc, what):
    with answering_bmc(bmc) as url:
        return asyncio.run(bmcs.call(a_host(Bmc(url)), what))


def patches(bmc: AnsweringBmc) -> list[tuple[str, object]]:
    return [(path, body) for method, path, body in bmc.changes if method == "PATCH"]


def test_every_set_of_answers_is_used():
    used = set(TABLES)

    assert {path.stem for path in ANSWERS.glob("*.yaml")} == used


@pytest.mark.parametrize("boot", [NetworkBoot.PXE, NetworkBoot.HTTP])
def test_supermicro_is_sent_enabled_and_mode_each_time(bmcs: Bmcs, boot: NetworkBoot):
    bmc = answers_of("supermicro-x12")
    target = "Pxe" if boot is NetworkBoot.PXE else "UefiHttp"

    call(bmcs, bmc, lambda machine: [machine.boot_once(boot), machine.boot_once(boot)])

    sent = {
        "Boot": {
            "BootSourceOverrideTarget": target,
            "BootSourceOverrideEnabled": "Once",
            "BootSourceOverrideMode": "UEFI",
        }
    }
    assert patches(bmc) == [("/redfish/v1/Systems/1", sent)] * 2


def test_supermicro_takes_the_boot_url_by_the_standard_property(bmcs: Bmcs):
    bmc = answers_of("supermicro-x12")

    result = call(bmcs, bmc, lambda machine: machine.write_boot_uri(URI))

    assert result == ()
    assert bmc.system["Boot"]["HttpBootUri"] == URI
    assert bmc.system["Boot"]["BootSourceOverrideTarget"] == "UefiHttp"


def test_pxe_after_a_boot_url_clears_it(bmcs: Bmcs):
    bmc = answers_of("supermicro-x12")

    call(bmcs, bmc, lambda machine: [machine.write_boot_uri(URI), machine.boot_once(NetworkBoot.PXE)])

    assert (bmc.system["Boot"]["HttpBootUri"], bmc.system["Boot"]["BootSourceOverrideTarget"]) == (None, "Pxe")


def test_dell_gets_the_device_first_and_the_url_after_a_restart(bmcs: Bmcs):
    """The children of a disabled HTTP device are read-only."""
    bmc = answers_of("dell-r760")
    first = call(bmcs, bmc, lambda machine: machine.write_boot_uri(URI))
    call(bmcs, bmc, lambda machine: machine.power(ResetAction.CYCLE))
    second = call(bmcs, bmc, lambda machine: machine.write_boot_uri(URI))
    call(bmcs, bmc, lambda machine: machine.power(ResetAction.CYCLE))
    third = call(bmcs, bmc, lambda machine: machine.write_boot_uri(URI))

    order = (
        "put HTTP Device 1 first in the UEFI boot order of the BIOS (SetBootOrderFqdd1 NIC.HttpDevice.1-1), once; then "
        "write remaining: [] for such machines in the file bmc.quirks"
    )
    again = "request the same again after this restart, before which the attributes of the URL are locked"
    assert (first, second, third) == ((again, order), (order,), (order,))
    every = ["HttpDev1EnDis", "HttpDev1Interface", "HttpDev1Uri", "HttpDev1TlsMode"]
    assert [list(body["Attributes"]) for _, body in patches(bmc)] == [every, every[:1], every[1:]]
    attributes = bmc.resources[f"{DELL}/Bios"]["Attributes"]
    assert {name: value for name, value in attributes.items() if name.startswith("HttpDev1")} == {
        "HttpDev1EnDis": "Enabled",
        "HttpDev1Interface": "NIC.Integrated.1-1-1",
        "HttpDev1Uri": URI,
        "HttpDev1TlsMode": "None",
    }
    at_reset = {"@odata.type": "#Settings.v1_0_0.PreferredApplyTime", "ApplyTime": "OnReset"}
    assert patches(bmc)[1] == (
        f"{DELL}/Bios/Settings",
        {"Attributes": {"HttpDev1EnDis": "Enabled"}, "@Redfish.SettingsApplyTime": at_reset},
    )
    assert len(patches(bmc)) == 3


def test_a_url_of_https_needs_tls_of_the_firmware(bmcs: Bmcs):
    bmc = answers_of("dell-r760")
    bmc.resources[f"{DELL}/Bios"]["Attributes"]["HttpDev1EnDis"] = "Enabled"

    call(bmcs, bmc, lambda machine: machine.write_boot_uri("https://192.0.2.10/a.efi"))

    assert bmc.resources[f"{DELL}/Bios/Settings"]["Attributes"]["HttpDev1TlsMode"] == "OneWay"


def test_dell_has_no_one_time_http_boot_and_boots_by_pxe(bmcs: Bmcs):
    bmc = answers_of("dell-r760")

    with pytest.raises(BmcError) as caught:
        call(bmcs, bmc, lambda machine: machine.boot_once(NetworkBoot.HTTP))
    call(bmcs, bmc, lambda machine: machine.boot_once(NetworkBoot.PXE))

    assert str(caught.value) == (
        "cannot set the one-time network boot of cp1: its firmware has no one-time HTTP boot; set network_boot: pxe"
    )
    assert bmc.system["Boot"]["BootSourceOverrideTarget"] == "Pxe"


def test_a_machine_without_the_attributes_of_its_vendor_is_an_error(bmcs: Bmcs):
    bmc = answers_of("dell-r760")
    del bmc.resources[f"{DELL}/Bios"]["Attributes"]["HttpDev1Uri"]

    with pytest.raises(BmcError) as caught:
        call(bmcs, bmc, lambda machine: machine.write_boot_uri(URI))

    assert str(caught.value) == (
        "cannot write the boot URL into the firmware of cp1: its BIOS has no attribute HttpDev1Uri; "
        "set network_boot: pxe, or let DHCP give the URL (network_boot: http)"
    )


def test_a_refusal_of_what_was_done_is_no_error(bmcs: Bmcs):
    """Dell's 13th generation answers 400 and sets it: ansible-collections/community.general#5091."""
    bmc = answers_of("dell-r760")
    bmc.rules.insert(
        0,
        {"method": "PATCH", "path": DELL, "has": "Pxe", "changes": True, "status": 400, "id": "IDRAC.1.6.SYS444",
         "message": "depends on other attributes"},
    )  # fmt: skip

    call(bmcs, bmc, lambda machine: machine.boot_once(NetworkBoot.PXE))

    assert bmc.system["Boot"]["BootSourceOverrideEnabled"] == "Once"


def test_hpe_gets_the_url_as_a_bios_attribute(bmcs: Bmcs):
    bmc = answers_of("hpe-dl380a-gen11")

    result = call(bmcs, bmc, lambda machine: machine.write_boot_uri(URI))

    assert result == (
        'put the entry "URL File" first in the UEFI boot order, once; then write remaining: [] for such machines in '
        "the file bmc.quirks",
    )
    assert patches(bmc) == [
        ("/redfish/v1/Systems/1/Bios/settings", {"Attributes": {"UrlBootFile": URI, "PreBootNetwork": "Auto"}})
    ]


def test_a_site_states_that_nothing_remains_to_be_done(credentials: Path, tmp_path: Path):
    (tmp_path / "own.yaml").write_text("quirks: [{name: boot-order-set, vendor: [HPE], remaining: []}]\n")
    bmcs = OperatedBmcs(read_quirks(SHIPPED, tmp_path / "own.yaml"), credentials, timeout_s=5, parallel=1)

    result = call(bmcs, answers_of("hpe-dl380a-gen11"), lambda machine: machine.write_boot_uri(URI))
    bmcs.close()

    assert result == ()


def test_hpe_refuses_during_post_and_is_sent_it_again(bmcs: Bmcs, no_pauses: list[float]):
    bmc = answers_of("hpe-dl380a-gen11")

    call(bmcs, bmc, lambda machine: machine.boot_once(NetworkBoot.PXE))

    sent = {"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}}
    assert patches(bmc) == [("/redfish/v1/Systems/1", sent)] * 3
    assert no_pauses == [10, 10]


def test_what_is_refused_too_often_is_an_error(bmcs: Bmcs, no_pauses: list[float]):
    bmc = answers_of("hpe-dl380a-gen11")
    bmc.rules[2]["times"] = 99

    with pytest.raises(BmcError) as caught:
        call(bmcs, bmc, lambda machine: machine.boot_once(NetworkBoot.PXE))

    assert caught.value.reason == "the BMC refused it (HTTP 400: The system is in POST)"
    assert no_pauses == [10] * 5


@pytest.mark.parametrize("boot", [NetworkBoot.PXE, NetworkBoot.HTTP])
def test_ami_is_sent_boots_by_its_settings_resource(bmcs: Bmcs, boot: NetworkBoot):
    bmc = answers_of("ami-asrockrack")

    call(bmcs, bmc, lambda machine: machine.boot_once(boot))

    [(path, body)] = patches(bmc)
    assert path == "/redfish/v1/Systems/Self/SD"
    assert body["Boot"]["BootSourceOverrideEnabled"] == "Once"
    assert body["Boot"]["BootSourceOverrideMode"] == "UEFI"


def test_ami_takes_the_boot_url_by_its_settings_resource(bmcs: Bmcs):
    bmc = answers_of("ami-asrockrack")

    result = call(bmcs, bmc, lambda machine: machine.write_boot_uri(URI))

    assert result == ()
    assert bmc.resources["/redfish/v1/Systems/Self/SD"]["Boot"]["HttpBootUri"] == URI


def test_lenovo_has_no_way_for_a_boot_url(bmcs: Bmcs):
    bmc = answers_of("lenovo-sr650")

    with pytest.raises(BmcError) as caught:
        call(bmcs, bmc, lambda machine: machine.write_boot_uri(URI))

    assert (caught.value.fault, caught.value.reason) == (
        "not-supported",
        "no way is known to write a boot URL into its firmware",
    )
    assert bmc.changes == []


def test_a_machine_without_forcerestart_is_power_cycled(bmcs: Bmcs):
    bmc = answers_of("openbmc-ibm")

    call(bmcs, bmc, lambda machine: machine.power(ResetAction.CYCLE))

    path = "/redfish/v1/Systems/system/Actions/ComputerSystem.Reset"
    assert bmc.changes == [("POST", path, {"ResetType": "PowerCycle"})]


def test_a_machine_without_any_restart_is_switched_off_and_on(bmcs: Bmcs):
    bmc = answers_of("ami-asrockrack")
    info = bmc.resources["/redfish/v1/Systems/Self/ResetActionInfo"]
    info["Parameters"][0]["AllowableValues"] = ["On", "ForceOff"]
    bmc.system["PowerState"] = "On"

    call(bmcs, bmc, lambda machine: machine.power(ResetAction.CYCLE))

    assert [body for _, _, body in bmc.changes] == [{"ResetType": "ForceOff"}, {"ResetType": "On"}]


def test_a_machine_that_stays_off_is_an_error_that_states_it(bmcs: Bmcs, no_pauses: list[float]):
    bmc = answers_of("ami-asrockrack")
    bmc.resources["/redfish/v1/Systems/Self/ResetActionInfo"]["Parameters"][0]["AllowableValues"] = ["On", "ForceOff"]
    bmc.system["PowerState"] = "On"
    bmc.rules.append(
        {"method": "POST", "path": "/redfish/v1/Systems/Self/Actions/ComputerSystem.Reset", "has": '"On"',
         "status": 500, "id": "Base.1.8.InternalError", "message": "no power"}
    )  # fmt: skip

    with pytest.raises(BmcError) as caught:
        call(bmcs, bmc, lambda machine: machine.power(ResetAction.CYCLE))

    assert str(caught.value) == (
        "cannot change the power of cp1: it was switched off and not on again: the BMC failed (HTTP 500: no power); "
        "look at the machine, then netboot power on cp1"
    )
    assert bmc.system["PowerState"] == "Off"


def test_a_machine_that_does_not_go_off_is_not_switched_on(bmcs: Bmcs, no_pauses: list[float]):
    bmc = answers_of("ami-asrockrack")
    bmc.resources["/redfish/v1/Systems/Self/ResetActionInfo"]["Parameters"][0]["AllowableValues"] = ["On", "ForceOff"]
    bmc.system["PowerState"] = "On"
    bmc.is_slow = True

    with pytest.raises(BmcError) as caught:
        call(bmcs, bmc, lambda machine: machine.power(ResetAction.CYCLE))

    assert caught.value.reason == "it was switched off and not on again: it is on after 30 s"
    assert [body for _, _, body in bmc.changes] == [{"ResetType": "ForceOff"}]
    assert no_pauses == [2.0] * 15


def test_a_bmc_that_never_reports_the_boot_needs_a_quirk(bmcs: Bmcs, credentials: Path, tmp_path: Path):
    (tmp_path / "own.yaml").write_text("quirks: [{name: mute, vendor: [Lenovo], reads_back: false}]\n")
    rule = {
        "method": "PATCH",
        "path": "/redfish/v1/Systems/1",
        "status": 200,
        "id": "Base.1.0.Success",
        "message": "ok",
    }
    accepting, trusted = answers_of("lenovo-sr650"), answers_of("lenovo-sr650")
    accepting.rules, trusted.rules = [dict(rule)], [dict(rule)]
    with_quirk = OperatedBmcs(read_quirks(SHIPPED, tmp_path / "own.yaml"), credentials, timeout_s=5, parallel=1)

    with pytest.raises(BmcError) as caught:
        call(bmcs, accepting, lambda machine: machine.boot_once(NetworkBoot.PXE))
    call(with_quirk, trusted, lambda machine: machine.boot_once(NetworkBoot.PXE))
    with_quirk.close()

    assert caught.value.fault == "not-in-force"
    assert len(patches(trusted)) == 1


def test_idrac_10_that_refuses_on_after_off_is_sent_it_again(bmcs: Bmcs, no_pauses: list[float]):
    bmc = answers_of("dell-r760")
    bmc.system["PowerState"] = "Off"
    bmc.rules.append(
        {"method": "POST", "path": f"{DELL}/Actions/ComputerSystem.Reset", "times": 2, "status": 409,
         "id": "Base.1.18.ActionParameterValueConflict", "message": "conflict"}
    )  # fmt: skip

    call(bmcs, bmc, lambda machine: machine.power(ResetAction.ON))

    assert [body for _, _, body in bmc.changes] == [{"ResetType": "On"}] * 3
    assert (no_pauses, bmc.system["PowerState"]) == ([5, 5], "On")


def test_a_bmc_that_fails_to_list_its_cards_is_like_one_without_a_list(bmcs: Bmcs):
    bmc = answers_of("dell-r760")
    bmc.system["EthernetInterfaces"] = {"@odata.id": f"{DELL}/Missing"}

    assert call(bmcs, bmc, lambda machine: [machine.verify_host(), machine.state()]) == [None, PowerState.ON]


def test_each_reset_is_judged_after_the_login_also_one_that_is_sent_again(bmcs: Bmcs):
    """An install may begin while a BMC waits, so that a restart is not allowed any longer."""
    bmc, judged = answers_of("dell-r760"), list[tuple[int, int]]()
    bmc.rules.append(
        {"method": "POST", "path": f"{DELL}/Actions/ComputerSystem.Reset", "times": 9, "status": 409,
         "id": "Base.1.18.ActionParameterValueConflict", "message": "conflict"}
    )  # fmt: skip

    def allow() -> Future[None]:
        judged.append((bmc.logins, len(bmc.changes)))
        found = Future[None]()
        if len(judged) == 3:
            found.set_exception(TransitionError("it is installing"))
        else:
            found.set_result(None)
        return found

    with pytest.raises(BmcError):
        call(bmcs, bmc, lambda machine: machine.power(ResetAction.CYCLE, allow))

    assert judged == [(1, 0), (1, 1), (1, 2)]
    assert [body for _, _, body in bmc.changes] == [{"ResetType": "ForceRestart"}] * 2


def test_the_boot_progress_is_read(bmcs: Bmcs):
    progress = [
        call(bmcs, answers_of(name), lambda machine: machine.boot_progress())
        for name in ("dell-r760", "openbmc-ibm", "hpe-dl380a-gen11")
    ]

    assert progress == ["OSRunning", "SystemHardwareInitializationComplete", None]


RESETS = {"power-on": ("offered", "On"), "power-off": ("offered", "ForceOff")}
CYCLE = ("offered", "ForceRestart, then off-on")
PXE, HTTP = ("offered", "Pxe"), ("offered", "UefiHttp")
NO_PROGRESS = ("no", "the BMC reports none")
TABLES = {
    "supermicro-x12": {
        "machine": ("yes", "its card 1 has the MAC 52:54:00:aa:bb:01 of the host"),
        "power-state": ("yes", "off"),
        **RESETS,
        "power-cycle": CYCLE,
        "pxe-once": PXE,
        "http-once": HTTP,
        "boot-uri": ("offered", "HttpBootUri"),
        "boot-progress": NO_PROGRESS,
    },
    "dell-r760": {
        "machine": ("yes", "its card NIC.Integrated.1-1-1 has the MAC 52:54:00:aa:bb:01 of the host"),
        "power-state": ("yes", "on"),
        **RESETS,
        "power-cycle": ("offered", "ForceRestart, then PowerCycle, then off-on"),
        "pxe-once": PXE,
        "http-once": ("no", "not with dell"),
        "boot-uri": ("offered", "HttpDev1EnDis, HttpDev1Interface, HttpDev1Uri, HttpDev1TlsMode"),
        "boot-progress": ("yes", "OSRunning"),
    },
    "hpe-dl380a-gen11": {
        "machine": ("unknown", "the BMC lists no MACs: verify that it is the one of this host"),
        "power-state": ("yes", "on"),
        **RESETS,
        "power-cycle": CYCLE,
        "pxe-once": PXE,
        "http-once": ("no", "not with hpe"),
        "boot-uri": ("offered", "UrlBootFile, PreBootNetwork"),
        "boot-progress": NO_PROGRESS,
    },
    "ami-asrockrack": {
        "machine": ("yes", "its card 7 has the MAC 52:54:00:aa:bb:01 of the host"),
        "power-state": ("yes", "off"),
        **RESETS,
        "power-cycle": CYCLE,
        "pxe-once": PXE,
        "http-once": HTTP,
        "boot-uri": ("offered", "HttpBootUri"),
        "boot-progress": NO_PROGRESS,
    },
    "lenovo-sr650": {
        "machine": (
            "no",
            "its cards have the MACs 52:54:00:aa:bb:77, none of the host; correct bmc.url or mac; if these are onboard "
            "cards of this machine, write one of them as bmc.cards",
        ),
        "power-state": ("yes", "off"),
        "power-on": ("offered", "On, then ForceOn"),
        "power-off": ("offered", "ForceOff"),
        "power-cycle": CYCLE,
        "pxe-once": PXE,
        "http-once": HTTP,
        "boot-uri": ("no", "no way is known with lenovo"),
        "boot-progress": ("yes", "None"),
    },
    "openbmc-ibm": {
        "machine": ("unknown", "the BMC lists no MACs: verify that it is the one of this host"),
        "power-state": ("yes", "on"),
        "power-on": ("offered", "On, then ForceOn"),
        "power-off": ("offered", "ForceOff"),
        "power-cycle": ("offered", "PowerCycle, then off-on"),
        "pxe-once": PXE,
        "http-once": ("no", "UefiHttp is none of its boot sources"),
        "boot-uri": ("no", "its firmware has no property HttpBootUri"),
        "boot-progress": ("yes", "SystemHardwareInitializationComplete"),
    },
}


@pytest.mark.parametrize("name", TABLES)
def test_a_probe_lists_what_works_and_changes_nothing(bmcs: Bmcs, name: str):
    bmc = answers_of(name)
    probe = call(bmcs, bmc, lambda machine: machine.probe())

    login, *rows = probe.abilities
    assert (login.ability, login.works, login.detail) == ("login", Works.YES, "by a session")
    assert {row.ability.value: (row.works.value, row.detail) for row in rows} == TABLES[name]
    assert [method for method, _, _ in bmc.changes] == []
    assert (bmc.logins, bmc.sessions) == (1, 0)


def test_a_probe_has_what_the_machine_is(bmcs: Bmcs):
    probe = call(bmcs, answers_of("dell-r760"), lambda machine: machine.probe())

    assert (probe.vendor, probe.model, probe.firmware, probe.bios, probe.redfish, probe.quirks) == (
        "Dell Inc.",
        "PowerEdge R760",
        "7.10.30.00",
        "2.5.4",
        "1.11.0",
        ("standard", "dell"),
    )
    assert probe.certificate_sha256 == ""


def test_the_methods_of_a_machine_are_the_interface():
    """Other packages call these."""
    names = [name for name in vars(BmcMachine) if not name.startswith("_")]

    assert names == ["state", "verify_host", "boot_progress", "power", "boot_once", "write_boot_uri", "probe", "failed"]


def test_the_sets_say_where_they_come_from():
    for path in sorted(Path(ANSWERS).glob("*.yaml")):
        assert path.read_text().startswith("synthetic: true\n# "), path
