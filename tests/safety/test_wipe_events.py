"""Each state of a wipe, each event in it: what the machine boots next, and whether the boot that began may still write.

The appliance answers bytes of HTTP, as for the models of this directory; the machine has the cards X and SPARE,
which the wipe names, and OTHER, which it does not.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from safety import wire
from safety.appliance import MEDIUM, Appliance, link_shared
from safety.declared import A1, AT_FIRST, X

SPARE, OTHER = "52:54:00:aa:bb:06", "52:54:00:aa:bb:07"
ADDRESSES: Final = {X: "192.0.2.53", SPARE: "192.0.2.54", OTHER: "192.0.2.55"}
ELSEWHERE: Final = "192.0.2.99"
NO_TOKEN: Final = 32 * "0"
HARDWARE: Final = f"firmware uefi\ndisk sda\nnic eno1\nmac {X}\n".encode()
OLD1: Final = {"role": "worker", "mac": [X, SPARE], "disk": {"serial": "S1"}, "boot_media": MEDIUM}
STATES: Final = ("requested", "begun", "allowed")
WIPES, INSPECTED, RESCUE, DISK, WAITS = "wipes", "inspected", "rescue", "its disk", "waits"
_TOKEN: Final = re.compile(rb"inst\.ks=\S*?/inspect/([0-9a-f]{32})")


@dataclass(eq=False)
class Machine:
    """The machine of the retired host old1, and the appliance. `token` is that of the boot that began its wipe."""

    box: Appliance
    token: str = NO_TOKEN
    tokens: list[str] = field(default_factory=list)

    def retire(self) -> None:
        assert self.box.api("POST", "/hosts", {"name": "old1", "values": OLD1}).status == 201
        retired = self.box.api("POST", "/hosts/old1/retire", {"wipe": "old1"})
        assert b"erases" in retired.body, retired

    def bring(self, state: str) -> None:
        """Let the wipe come to this state."""
        self.retire()
        if state != "requested":
            assert self.boots() == WIPES
            self.token = self.tokens[-1]
        if state == "allowed":
            assert self.allowed() == 200

    def powers_on(self, card: str = X) -> None:
        self.box.advance(120)
        for packet in (wire.discover(wire.UEFI, card, 7), wire.lan_request(card, 7, ADDRESSES[card])):
            self.box.dhcp(67, packet)

    def script(self, card: str = X) -> str:
        """Request the script; return what it leads to."""
        return self.kind(self.box.http("GET", f"/boot/{card}.ipxe", ADDRESSES[card]).body)

    def kind(self, script: bytes) -> str:
        if found := _TOKEN.search(script):
            self.tokens.append(found[1].decode())
            return WIPES if b"its disk is wiped" in script else INSPECTED
        if b"inst.rescue" in script:
            return RESCUE
        return DISK if b"boots its own disk" in script else WAITS

    def boots(self, card: str = X) -> str:
        self.powers_on(card)
        return self.script(card)

    def kickstart(self, token: str, source: str = ADDRESSES[X]) -> str:
        """Request a Kickstart; return what it does."""
        answer = self.box.http("GET", f"/inspect/{token}", source)
        if answer.status != 200:
            return str(answer.status)
        return WIPES if b"wipefs" in answer.body else INSPECTED

    def allowed(self, token: str = "", source: str = ADDRESSES[X]) -> int:
        return self.report("wiping", token, source)

    def report(self, event: str, token: str = "", source: str = ADDRESSES[X]) -> int:
        return self.box.http("POST", f"/report/{token or self.token}/{event}", source, HARDWARE).status

    def settings(self, before: str, after: str) -> None:
        """Change the settings and reload."""
        file = self.box.directory / "netboot.yaml"
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after))
        self.box.reload()

    def declare(self, card: str) -> None:
        assert self.box.api("POST", "/hosts", {"name": "new1", "values": {**OLD1, "mac": card}}).status == 201

    def fault(self) -> None:
        (self.box.directory / "hosts.d" / "faulty.yaml").write_text("hosts: {x: {rol: worker}}\n")
        assert self.box.reload() != 200


@pytest.fixture
def machine(shared: Path, tmp_path: Path) -> Iterator[Machine]:
    link_shared(shared, tmp_path)
    for name in ("boot", "content"):
        (tmp_path / name).unlink()
        shutil.copytree(shared / name, tmp_path / name, symlinks=True)
    shutil.copytree(tmp_path / "content" / "media" / MEDIUM, tmp_path / "content" / "media" / "ol9")
    (tmp_path / "hosts.d").mkdir()
    box = Appliance(tmp_path, AT_FIRST.text(), unknown="wait", files="hosts.yaml, hosts.d")
    machine = Machine(box)
    for card in ADDRESSES:
        machine.powers_on(card)
    yield machine
    box.close()


# The events; each returns what its machine boots then


def power_cut(machine: Machine) -> str:
    return machine.boots()


def power_cut_and_second_card(machine: Machine) -> str:
    return machine.boots(SPARE)


def power_cut_and_unknown_card(machine: Machine) -> str:
    return machine.boots(OTHER)


def restart(machine: Machine) -> str:
    machine.box.restart()
    return machine.boots()


def kill(machine: Machine) -> str:
    machine.box.restart(kill=True)
    return machine.boots()


def kill_after_the_script(machine: Machine) -> str:
    """The store has its beginning, and the machine has no answer."""
    machine.powers_on()
    machine.box.http("GET", f"/boot/{X}.ipxe", ADDRESSES[X])
    machine.box.restart(kill=True)
    return machine.boots()


def kill_after_the_permission(machine: Machine) -> str:
    machine.box.http_cut("POST", f"/report/{machine.token}/wiping", ADDRESSES[X], HARDWARE)
    machine.box.restart(kill=True)
    return machine.boots(OTHER)


def repeated_script(machine: Machine) -> str:
    machine.powers_on()
    return [machine.script() for _ in range(3)][-1]


def inspects_unknown(machine: Machine) -> str:
    machine.settings("unknown: wait", f"unknown: inspect, inspect_media: {MEDIUM}")
    return machine.boots()


def inspects_unknown_with_a_new_medium(machine: Machine) -> str:
    machine.settings("unknown: wait", "unknown: inspect, inspect_media: ol9")
    return machine.boots()


def inspects_unknown_with_a_new_medium_from_the_second_card(machine: Machine) -> str:
    machine.settings("unknown: wait", "unknown: inspect, inspect_media: ol9")
    return machine.boots(SPARE)


def inspection(machine: Machine) -> str:
    """Of the same medium, as `netboot host inspect MAC` requests it; it is refused while the wipe is requested."""
    machine.settings("unknown: wait", f"unknown: wait, inspect_media: {MEDIUM}")
    machine.box.api("POST", "/inspections", {"machine": X})
    return machine.boots()


def inspection_of_the_second_card(machine: Machine) -> str:
    machine.settings("unknown: wait", f"unknown: wait, inspect_media: {MEDIUM}")
    machine.box.api("POST", "/inspections", {"machine": SPARE})
    return machine.boots(SPARE)


def inspection_of_the_registered_machine(machine: Machine) -> str:
    machine.declare(X)
    assert machine.box.api("POST", "/inspections", {"machine": "new1"}).status == 200
    return machine.boots()


def inspection_of_the_machine_that_was_registered(machine: Machine) -> str:
    """Requested before its removal, begun after it."""
    machine.settings("unknown: wait", f"unknown: wait, inspect_media: {MEDIUM}")
    machine.declare(X)
    assert machine.box.api("POST", "/inspections", {"machine": "new1"}).status == 200
    machine.box.api("DELETE", "/hosts/new1")
    return machine.boots()


def rescue(machine: Machine) -> str:
    machine.declare(X)
    assert machine.box.api("POST", "/rescues", {"hosts": ["new1"]}).status == 200
    return machine.boots()


def registration(machine: Machine) -> str:
    machine.declare(X)
    return machine.boots()


def registration_of_the_second_card(machine: Machine) -> str:
    machine.declare(SPARE)
    return machine.boots()


def approval(machine: Machine) -> str:
    wanted = {"macs": [X], "role": "worker", "name": "new{n}"}
    approved = machine.box.api("POST", "/machines/approve", wanted)
    assert approved.status == 200, approved
    return machine.boots()


def registration_and_removal(machine: Machine) -> str:
    machine.declare(X)
    machine.box.api("DELETE", "/hosts/new1")
    return machine.boots()


def registration_while_the_store_fails_and_removal(machine: Machine) -> str:
    hosts = AT_FIRST.text()
    machine.box.edit_hosts(f"{hosts}  new1: {{role: worker, mac: '{X}'}}\n")
    with machine.box.failing_store("inspections"):
        machine.box.reload()
    machine.box.edit_hosts(hosts)
    machine.box.reload()
    return machine.boots()


def faulty_hosts_file(machine: Machine) -> str:
    machine.fault()
    return machine.boots()


def faulty_hosts_file_and_restart(machine: Machine) -> str:
    machine.fault()
    machine.box.restart(kill=True)
    return machine.boots()


def faulty_hosts_file_and_another_boot_file(machine: Machine) -> str:
    machine.fault()
    (machine.box.directory / "boot" / "another.efi").write_bytes(b"loader")
    machine.box.advance(2)
    return machine.boots()


def faulty_settings(machine: Machine) -> str:
    machine.settings("dhcp:", "nonsense: 1\ndhcp:")
    return machine.boots()


def cancel(machine: Machine) -> str:
    assert machine.box.api("DELETE", "/wipes/old1").status == 200
    return machine.boots()


def end(machine: Machine) -> str:
    machine.report("wiped")
    return machine.boots()


def refusal(machine: Machine) -> str:
    machine.report("wipe-refused")
    return machine.boots()


def another_wipe(machine: Machine) -> str:
    machine.report("wipe-refused")
    machine.retire()
    return machine.boots()


def reports_of_an_inspection(machine: Machine) -> str:
    assert machine.report("inspected") == 404
    return machine.boots()


def requests_from_elsewhere(machine: Machine) -> str:
    """By the address of a host, and by one that no packet showed."""
    for source in (ELSEWHERE, ADDRESSES[SPARE], "192.0.2.101"):
        assert {machine.kickstart(machine.token, source), str(machine.allowed(source=source))} <= {"403", "404"}
        assert machine.report("wiped", source=source) in (403, 404)
        body = machine.box.http("GET", f"/boot/{X}.ipxe", source).body
        assert _TOKEN.search(body) is None
    return machine.boots()


# What the machine boots then, and whether the boot that began before may still write, in each of STATES
ONCE = ((WIPES, False), (WAITS, True), (WAITS, True))  # the token of a boot that was cut remains its own alone
NEVER = ((WAITS, False),) * 3
REGISTERED = ((DISK, False),) * 3
EVENTS: Final[dict[Callable[[Machine], str], tuple[tuple[str, bool], ...]]] = {
    power_cut: ONCE,
    power_cut_and_second_card: ONCE,
    power_cut_and_unknown_card: ((WAITS, False), (WAITS, True), (WAITS, True)),
    restart: ONCE,
    kill: ONCE,
    kill_after_the_script: ((WAITS, False), (WAITS, True), (WAITS, True)),
    kill_after_the_permission: ((WAITS, False), (WAITS, True), (WAITS, True)),
    repeated_script: ONCE,
    inspects_unknown: ONCE,
    inspects_unknown_with_a_new_medium: ((WIPES, False), (INSPECTED, False), (INSPECTED, False)),
    inspects_unknown_with_a_new_medium_from_the_second_card: ((WIPES, False), (INSPECTED, True), (INSPECTED, True)),
    inspection: ((WIPES, False), (INSPECTED, False), (INSPECTED, False)),
    inspection_of_the_second_card: ((WIPES, False), (INSPECTED, True), (INSPECTED, True)),
    inspection_of_the_registered_machine: ((INSPECTED, False),) * 3,
    inspection_of_the_machine_that_was_registered: ((INSPECTED, False),) * 3,
    rescue: ((RESCUE, False),) * 3,
    registration: REGISTERED,
    registration_of_the_second_card: NEVER,
    approval: REGISTERED,
    registration_and_removal: NEVER,
    registration_while_the_store_fails_and_removal: NEVER,
    faulty_hosts_file: NEVER,
    faulty_hosts_file_and_restart: NEVER,
    faulty_hosts_file_and_another_boot_file: NEVER,
    faulty_settings: NEVER,
    cancel: NEVER,
    end: ((WIPES, False), (WAITS, False), (WAITS, False)),
    refusal: ((WIPES, False), (WAITS, False), (WAITS, False)),
    another_wipe: ((WIPES, False),) * 3,
    reports_of_an_inspection: ONCE,
    requests_from_elsewhere: ONCE,
}
OF_ANOTHER_BOOT: Final = (power_cut_and_unknown_card, kill_after_the_permission)  # what is requested stays requested


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_only_the_boot_that_began_a_wipe_writes_a_disk(
    machine: Machine, event: Callable[[Machine], str], state: str
) -> None:
    machine.bring(state)
    booted, may_write = EVENTS[event][STATES.index(state)]

    assert event(machine) == booted
    begun, card = machine.tokens[-1] if machine.tokens else NO_TOKEN, _card_of(event)
    if booted in (WIPES, INSPECTED):
        assert begun != machine.token
        assert machine.kickstart(begun, ADDRESSES[card]) == booted
    assert machine.kickstart(machine.token) == (WIPES if may_write else "404")
    assert machine.allowed() in ((200,) if may_write else (404, 409))
    if booted == WIPES:
        assert [machine.allowed(begun, ADDRESSES[card]) for _ in range(2)] == [200, 200]
    if booted == INSPECTED:
        assert machine.allowed(begun, ADDRESSES[card]) == 404
        assert machine.report("inspected", begun, ADDRESSES[card]) == 200
    assert (machine.boots() == WIPES) == (state == "requested" and event in OF_ANOTHER_BOOT)


def _card_of(event: Callable[[Machine], str]) -> str:
    return SPARE if "second_card" in event.__name__ and "registration" not in event.__name__ else X


@pytest.mark.parametrize("cards", [(X, X), (X, SPARE), (SPARE, X)])
def test_two_requests_at_once_begin_one_wipe(machine: Machine, cards: tuple[str, str]) -> None:
    machine.bring("requested")
    for card in (X, SPARE):
        machine.powers_on(card)
    answers = machine.box.http_together([("GET", f"/boot/{card}.ipxe", ADDRESSES[card], b"") for card in cards])

    kinds = [machine.kind(answer.body) for answer in answers]
    assert sorted(kinds) == ([WIPES, WIPES] if cards == (X, X) else [WAITS, WIPES])
    assert len({*machine.tokens}) == 1


def test_a_kickstart_that_is_requested_twice_is_the_same_and_after_the_end_none(machine: Machine) -> None:
    machine.bring("begun")
    assert [machine.kickstart(machine.token) for _ in range(2)] == [WIPES, WIPES]
    assert [machine.allowed() for _ in range(3)] == [200, 200, 200]
    assert machine.report("wiped") == 200
    assert (machine.kickstart(machine.token), machine.allowed(), machine.report("wiped")) == ("404", 404, 404)


def test_a_machine_that_has_the_card_of_a_host_is_not_wiped(machine: Machine) -> None:
    machine.bring("begun")
    body = HARDWARE + f"nic eno2\nmac {A1}\n".encode()
    refused = machine.box.http("POST", f"/report/{machine.token}/wiping", ADDRESSES[X], body)

    assert refused.status == 409
    assert machine.allowed() == 404
