"""What a simulated boot requests: no script and no token without a permission of that moment."""

import asyncio
from uuid import UUID

import pytest
from fixtures.scripted_machine import a_machine

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.firmwares.profiles import PROFILES, profile_named
from netboot.probe.machine_boot import (
    ALL_PERMITTED,
    NO_SCRIPT,
    EndedError,
    MachineBoot,
    Permissions,
    SimulationEnd,
    kernel_of,
)
from netboot.probe.scope.simulated_identity import identity_of
from netboot.probe.scope.simulation_scope import mac_for
from netboot.probe.scripts.script_end import BootsLocally, Waits

SERVER = "http://192.0.2.10:8080"
SCRIPTS = [
    f"{SERVER}/boot/52-54-00-aa-bb-01.ipxe?serial=1",
    f"{SERVER}/boot/52-54-00-aa-bb-01/grub.cfg",
    "tftp://192.0.2.10/grub.cfg-01-52-54-00-aa-bb-01",
]
TOKENS = [f"{SERVER}/{area}/{'0' * 32}" for area in ("ks", "ign", "report", "inspect")]


def permit(url: str, permissions: Permissions, *, spends: bool = False) -> None:
    asyncio.run(MachineBoot(a_machine(), Step.READY, spends, permissions).permit(url))


@pytest.mark.parametrize("url", SCRIPTS)
def test_a_script_is_not_requested_unless_it_is_permitted_now(url: str):
    async def registered_meanwhile() -> str:
        return "cp1 was registered with this MAC meanwhile"

    for permissions in (NO_SCRIPT, Permissions(registered_meanwhile)):
        with pytest.raises(EndedError) as caught:
            permit(url, permissions)
        assert caught.value.end is SimulationEnd.BEFORE_SCRIPT
    permit(url, ALL_PERMITTED)
    permit(url, NO_SCRIPT, spends=True)


@pytest.mark.parametrize(
    "url",
    [
        f"{SERVER}/boot/52-54-00-aa-bb-02.ipxe",
        f"{SERVER}/boot/52:54:00:AA:BB:02.IPXE?serial=1",
        f"{SERVER}/boot/525400aabb02.ipxe",
        f"{SERVER}/%62oot/52%2d54-00-aa-bb-02.ipxe",
        f"{SERVER}/boot/52-54-00-aa-bb-02/grub.cfg",
        "tftp://192.0.2.10/grub.cfg-01-52-54-00-aa-bb-02",
        "tftp://192.0.2.10/boot/52-54-00-aa-bb-02/grub.cfg-01-52-54-00-aa-bb-01",
        "tftp://192.0.2.10/boot/52-54-00-aa-bb-01/grub.cfg-01-52-54-00-aa-bb-02",
    ],
)
def test_the_script_of_another_machine_is_never_requested(url: str):
    with pytest.raises(EndedError, match="another machine, 52:54:00:aa:bb:02") as caught:
        permit(url, ALL_PERMITTED)

    assert caught.value.end is SimulationEnd.BEFORE_SCRIPT
    permit(url, NO_SCRIPT, spends=True)


@pytest.mark.parametrize("url", TOKENS)
def test_a_url_with_a_token_is_requested_with_spend_alone(url: str):
    with pytest.raises(EndedError) as caught:
        permit(url, ALL_PERMITTED)

    assert caught.value.end is SimulationEnd.BEFORE_TOKEN
    permit(url, NO_SCRIPT, spends=True)


@pytest.mark.parametrize("path", ["content/ol8/vmlinuz", "ostree/ock/config", "bootfiles/snponly.efi"])
def test_what_is_the_same_for_every_machine_needs_no_permission(path: str):
    permit(f"{SERVER}/{path}", NO_SCRIPT)


def test_a_script_that_waits_because_its_kernel_cannot_be_read_is_a_failure():
    failed = BootFailedError(Step.KERNEL, "iPXE prints 'Not found'", cure="netboot check")
    waits = Waits(SCRIPTS[0], 15.0, "5 tries failed")

    with pytest.raises(BootFailedError):
        kernel_of(waits, failed)
    with pytest.raises(EndedError, match="not registered"):
        kernel_of(waits, None, console="this machine is not registered")
    with pytest.raises(EndedError, match="exit 1"):
        kernel_of(BootsLocally("exit 1"), failed)


def test_only_a_firmware_with_its_uuid_in_chaddr_has_another_identity_than_its_mac():
    uuid = UUID("00112233-4455-6677-8899-aabbccddeeff")

    assert [name for name in PROFILES if identity_of(profile_named(name), uuid)] == ["edk2-guid-chaddr"]
    assert identity_of(profile_named("edk2-guid-chaddr"), uuid) != mac_for("edk2-guid-chaddr")
