"""`netboot host add|set|approve|remove|retire` and the selection of hosts, while no daemon runs."""

import asyncio
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from click.testing import CliRunner, Result
from fixtures.command_line import CommandLine

from netboot.cli.main import cli
from netboot.errors import ConfigError, HostFileError, HostsNotWritableError, UnknownHostError
from netboot.model.boot.boot_client import Machine, RelayPath
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.hardware import Hardware, InspectedCard, InspectedDisk
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.store.database import Database
from netboot.store.inspections import Inspections
from netboot.store.machines import Machines

W2 = ("role=worker", "mac=02:00:00:aa:00:03", "disk=/dev/vda")
NO_DAEMON = "netboot: no daemon runs; changed hosts files and store itself; start it with systemctl start netboot"
ALL_ONES = "uuid ffffffff-ffff-ffff-ffff-ffffffffffff is a placeholder: all ones, none was written to the board"
SEEN = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def rack(netboot: CommandLine) -> CommandLine:
    """An appliance with a directory in which commands write hosts."""
    (netboot.directory / "hosts.d").mkdir()
    return netboot


def typed(rack: CommandLine, text: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(rack.config), *arguments], input=text, prog_name="netboot")


def discover(rack: CommandLine, *machines: Machine) -> None:
    async def keep() -> None:
        database = await Database.open(f"sqlite+aiosqlite:///{rack.directory}/netboot.db")
        stored = Machines(database)
        for machine in machines:
            stored.keep(machine)
        await stored.close()
        await database.close()

    asyncio.run(keep())


def test_a_host_is_added_changed_listed_and_removed(rack: CommandLine):
    added = rack("host", "add", "w2", *W2, "labels.rack=r1")
    changed = rack.printed("host", "set", "w2", "disk=", "+ntp=192.0.2.1", "network.nameservers=192.0.2.2")

    file = rack.directory / "hosts.d/w2.yaml"
    assert (added.stdout, added.stderr.splitlines()) == (f"w2: {file} written\n", [NO_DAEMON])
    assert changed == "w2: ./hosts.d/w2.yaml written\n"
    assert file.read_text().splitlines()[1:] == [
        "hosts:", "  w2:", "    role: worker", "    mac: 02:00:00:aa:00:03", "    labels:", "      rack: r1",
        "    +ntp:", "      - 192.0.2.1", "    network:", "      nameservers:", "        - 192.0.2.2",
    ]  # fmt: skip
    assert [host["name"] for host in rack.json("host", "list", "--label", "rack=r1")] == ["w2"]
    assert [host["name"] for host in rack.json("host", "list", "--role", "worker")] == ["w1", "w2"]
    assert rack.json("host", "remove", "w2")["hosts"] == [{"host": "w2", "file": "./hosts.d/w2.yaml", "text": None}]
    assert not file.exists()


def test_a_refusal_is_one_sentence_and_a_new_fault_has_its_place_and_exit_code_2(rack: CommandLine):
    by_a_person = rack("host", "set", "w1", "disk=/dev/vda")
    faulty = rack("host", "add", "w2", *W2, "network.pol=x")
    as_json = rack.json("host", "add", "w2", *W2, "network.pol=x", status=1)

    assert isinstance(by_a_person.exception, HostFileError)
    assert isinstance(faulty.exception, ConfigError)
    assert [fault.where for fault in faulty.exception.problems] == ["hosts.w2.network.pol"]
    assert (as_json["ok"], as_json["code"], len(as_json["faults"])) == (False, "configuration-faulty", 1)
    assert by_a_person.stdout == faulty.stdout == ""
    assert list((rack.directory / "hosts.d").iterdir()) == []


def test_without_the_directory_the_command_that_makes_it_is_named(netboot: CommandLine):
    done = netboot("host", "add", "w2", *W2)

    assert isinstance(done.exception, HostsNotWritableError)
    assert f"make it: install -d -m 770 -g netboot {netboot.directory}/hosts.d" in str(done.exception)


def test_machines_are_shown_before_they_are_approved_and_dry_run_only_shows_them(rack: CommandLine):
    discover(
        rack,
        Machine(Mac.parse("02:00:00:aa:00:08"), SEEN, SEEN, "x64-uefi", "PXEClient:Arch:00007", "f" * 32),
        Machine(Mac.parse("02:00:00:aa:00:09"), SEEN, SEEN, "x86-bios"),
    )
    command = ("host", "approve", "02:00:00:aa:00:08", "02-00-00-AA-00-09", "--role", "worker", "--name", "n{n}")

    shown = rack.printed(*command, "--address", "192.0.2.7/24", "--address", "192.0.2.8/24", "--dry-run")
    before = rack.json("host", "list")
    approved = rack.printed(*command, "--disk", "/dev/vda")

    lines = [line for line in shown.splitlines() if " seen " not in line]
    assert lines == [
        "n1, the machine 02:00:00:aa:00:08, reported (not verified):",
        "  mac               02:00:00:aa:00:08",
        "  arch              x64-uefi",
        "  vendor class      PXEClient:Arch:00007",
        f"  uuid              {'f' * 32}",
        f"  caution: {ALL_ONES}",
        "  ./hosts.d/n1.yaml:",
        "    hosts:",
        "      n1:",
        "        role: worker",
        "        mac: 02:00:00:aa:00:08",
        "        network:",
        "          address: 192.0.2.7/24",
        "n2, the machine 02:00:00:aa:00:09, reported (not verified):",
        "  mac               02:00:00:aa:00:09",
        "  arch              x86-bios",
        "  ./hosts.d/n2.yaml:",
        "    hosts:",
        "      n2:",
        "        role: worker",
        "        mac: 02:00:00:aa:00:09",
        "        network:",
        "          address: 192.0.2.8/24",
    ]
    assert sum(" seen " in line for line in shown.splitlines()) == 4
    assert len(before) == 2
    assert approved.splitlines()[-2:] == ["n1: ./hosts.d/n1.yaml written", "n2: ./hosts.d/n2.yaml written"]
    assert rack.json("host", "list", "--discovered") == []


BOOTED, SECOND = Mac.parse("02:00:00:aa:00:08"), Mac.parse("02:00:00:aa:00:18")
FACTS = {MachineFact.MANUFACTURER: "Dell Inc.", MachineFact.SERIAL: "J1KXV52", MachineFact.SWITCH_PORT: "eth7"}
DISKS = (
    InspectedDisk("sda", 480 * 10**9, False, False, False, "MZ7", ("S1",)),
    InspectedDisk("sdb", 480 * 10**9, False, False, False, "MZ7", ("S2",)),
)
INSPECTED = Inspection(
    BOOTED,
    begun_at=SEEN,
    reported_at=SEEN,
    token="a" * 32,
    hardware=Hardware(
        "uefi", disks=DISKS, cards=(InspectedCard("eno1", BOOTED, "ixgbe", True), InspectedCard("eno2", SECOND))
    ),
)


def inspect(rack: CommandLine) -> None:
    """Record a machine behind a relay that was inspected."""
    path = RelayPath(IPv4Address("192.0.2.254"), "eth1/0/7")
    discover(rack, Machine(BOOTED, SEEN, SEEN, "x64-uefi", facts=FACTS, first_path=path, last_path=path))

    async def keep() -> None:
        database = await Database.open(f"sqlite+aiosqlite:///{rack.directory}/netboot.db")
        await Inspections(database).change([BOOTED], lambda _: INSPECTED, creates=True)
        await database.close()

    asyncio.run(keep())


def test_an_inspected_machine_is_shown_with_its_hardware_and_gets_all_its_cards(rack: CommandLine):
    inspect(rack)
    command = ("host", "approve", BOOTED, "--role", "worker", "--disk", "{serial: S2}")

    shown = rack.printed(*command, "--dry-run").splitlines()
    found = rack.json(*command, "--dry-run")
    rack.printed(*command)

    lines = [line for line in shown if " ago" not in line]
    assert lines == [
        f"worker-1, the machine {BOOTED}, reported (not verified):",
        f"  mac               {BOOTED}",
        "  arch              x64-uefi",
        "  facts manufacturer Dell Inc.",
        "  facts serial      J1KXV52",
        "  facts switch port eth7",
        "  first path relay  192.0.2.254",
        "  first path circuit id eth1/0/7",
        "  last path relay   192.0.2.254",
        "  last path circuit id eth1/0/7",
        "    reported by the machine, unverified: uefi",
        "    disk sda, 480 GB, not rotational, model MZ7, serial S1",
        "    disk sdb, 480 GB, not rotational, model MZ7, serial S2",
        f"    card eno1, {BOOTED}, ixgbe, link",
        f"    card eno2, {SECOND}",
        f"  cards of the host {BOOTED}, {SECOND}",
        "  ./hosts.d/worker-1.yaml:",
        "    hosts:",
        "      worker-1:",
        "        role: worker",
        "        mac:",
        f"          - {BOOTED}",
        f"          - {SECOND}",
        "        disk:",
        "          serial: S2",
    ]
    assert any(line.startswith(f"  inspection of {BOOTED}: begun ") for line in shown)
    [machine] = found["machines"]
    assert machine["macs"] == [BOOTED, SECOND]
    assert [disk["name"] for disk in machine["inspection"]["hardware"]["disks"]] == ["sda", "sdb"]
    assert "a" * 32 not in str(found)
    [host] = [host for host in rack.json("host", "list") if host["name"] == "worker-1"]
    assert (host["macs"], host["disk"]["serial"]) == ([BOOTED, SECOND], "S2")


def test_a_disk_rule_that_fits_two_inspected_disks_is_refused_and_the_boot_card_alone_can_be_taken(rack: CommandLine):
    inspect(rack)
    command = ("host", "approve", BOOTED, "--role", "worker", "--boot-card-only")

    refused = rack(*command, "--disk", "{rotational: false}")
    before = rack.json("host", "list", "--role", "worker")
    approved = rack.json(*command)

    assert str(refused.exception) == (
        f"cannot approve {BOOTED}: sda and sdb all fit hosts.worker-1.disk (not rotational) among the disks of its "
        f"last inspection (sda, sdb); correct the disk, or inspect the machine again: netboot host inspect {BOOTED}"
    )
    assert approved["machines"][0]["macs"] == []
    after = rack.json("host", "list", "--role", "worker")
    assert [host["macs"] for host in after if host not in before] == [[BOOTED]]


def test_with_json_an_approval_is_one_document(rack: CommandLine):
    discover(rack, Machine(Mac.parse("02:00:00:aa:00:08"), SEEN, SEEN, "x64-uefi"))
    command = ("host", "approve", "02:00:00:aa:00:08", "--role", "worker", "--group", "no")

    refused = rack.json(*command, "--dry-run", status=1)
    approved = rack.json(*command[:-2], "--dry-run")

    assert refused["faults"][0]["where"] == "hosts.worker-1.groups[0]"
    assert (approved["is_rehearsal"], approved["machines"][0]["host"]) == (True, "worker-1")


def test_machines_of_a_pool_get_an_address_each(rack: CommandLine):
    pool = "address_pools: {rack1: {subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.41}}\n"
    rack.hosts.write_text(pool + rack.hosts.read_text())
    macs = [Mac.parse(f"02:00:00:aa:00:0{number}") for number in range(3)]
    discover(rack, *(Machine(mac, SEEN, SEEN, "x64-uefi") for mac in macs))

    rack.printed("host", "approve", *macs[:2], "--role", "worker", "--pool", "rack1")
    too_many = rack("host", "approve", macs[2], "--role", "worker", "--pool", "rack1")

    addresses = [host["network"]["address"] for host in rack.json("host", "list", "--role", "worker")]
    assert sorted(map(str, addresses)) == ["192.0.2.40/24", "192.0.2.41/24", "None"]
    assert isinstance(too_many.exception, ConfigError)
    assert len(list((rack.directory / "hosts.d").iterdir())) == 2


def test_a_pool_is_verified_as_every_key_is(rack: CommandLine):
    discover(rack, Machine(Mac.parse("02:00:00:aa:00:08"), SEEN, SEEN, "x64-uefi"))

    done = rack("host", "approve", "02:00:00:aa:00:08", "--role", "worker", "--pool", "no-such-pool")

    assert isinstance(done.exception, ConfigError)
    assert [fault.where for fault in done.exception.problems] == ["hosts.worker-1.network.pool"]
    assert list((rack.directory / "hosts.d").iterdir()) == []


def test_a_host_is_retired_after_its_name_was_typed(rack: CommandLine):
    rack("host", "add", "w2", *W2)

    wrong = typed(rack, "w1\n", "host", "retire", "w2")
    ended = typed(rack, "", "host", "retire", "w2")
    assert (rack.directory / "hosts.d/w2.yaml").exists()
    right = typed(rack, "w2\n", "host", "retire", "w2")

    assert wrong.stderr.splitlines()[-1] == "Error: 'w1' is not w2; nothing was changed"
    assert (wrong.exit_code, ended.exit_code) == (1, 1)
    assert right.stdout.splitlines() == [
        f"w2: {rack.directory}/hosts.d/w2.yaml deleted",
        "w2 is retired; its disk was not wiped",
    ]
    assert isinstance(rack("host", "retire", "w2", "--yes").exception, UnknownHostError)


def test_a_wipe_is_confirmed_by_the_name_alone_and_cancelled_without_a_daemon(rack: CommandLine):
    disk = "/dev/disk/by-path/pci-1"
    rack("host", "add", "w2", "role=worker", "mac=02:00:00:aa:00:03", f"disk={disk}")

    yes = rack("host", "retire", "w2", "--wipe", "--yes")
    both = rack("host", "retire", "w2", "--wipe", "--cancel-wipe")
    wrong = typed(rack, "w1\n", "host", "retire", "w2", "--wipe")
    right = typed(rack, "w2\n", "host", "retire", "w2", "--wipe")
    cancelled = rack.printed("host", "retire", "02:00:00:aa:00:03", "--cancel-wipe")

    assert (yes.exit_code, both.exit_code, wrong.exit_code) == (2, 2, 1)
    assert "Type w2 to retire it: its file is deleted, its next network boot ERASES its disk" in wrong.stderr
    assert right.stdout.splitlines()[-1].startswith(
        f"w2 is retired; the next network boot of its machine erases {disk}, with "
    )
    assert cancelled == "the wipe of w2 is cancelled: an operator cancelled it\n"


def test_armed_hosts_are_selected_by_role_and_labels(rack: CommandLine):
    rack("host", "add", "w2", *W2, "labels.rack=r1")
    rack("host", "add", "w3", "role=worker", "mac=02:00:00:aa:00:04", "disk=/dev/vda", "labels.rack=r1", "labels.a=b")

    armed = rack.json("install", "arm", "--role", "worker", "--label", "rack=r1", "--force")
    one = rack.json("install", "arm", "--label", "rack=r1", "--label", "a=b", "--force")
    none = rack("install", "arm", "--label", "rack=r2")
    cancelled = rack.printed("install", "cancel", "--label", "rack=r1")
    both = rack.printed("install", "cancel", "w2", "cp1")

    assert ([each["host"] for each in armed], [each["host"] for each in one]) == (["w2", "w3"], ["w3"])
    assert str(none.exception) == "no host has label rack=r2; netboot host list shows the hosts"
    assert cancelled.splitlines() == [f"{name} is not armed; it boots its own disk" for name in ("w2", "w3")]
    assert both.splitlines() == [f"{name} was not armed; nothing was changed" for name in ("w2", "cp1")]


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("install arm w1 --role worker", "name each HOST, or select hosts by --role and --label; not both"),
        ("install cancel", "Missing argument 'HOST...'."),
        ("install arm --label rack", "Invalid value for --label: 'rack' is not KEY=VALUE"),
        ("host list --discovered --role worker", "an unregistered machine has no role and no label"),
        ("host add w2", "Missing argument 'KEY=VALUE...'."),
    ],
)
def test_a_wrong_selection_is_a_usage_error(rack: CommandLine, command: str, error: str):
    assert rack.json(*command.split(), status=2) == {"ok": False, "error": error, "code": "usage"}
