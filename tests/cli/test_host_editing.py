"""`netboot host add|set|approve|remove|retire` and the selection of hosts, while no daemon runs."""

import asyncio
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result
from fixtures.command_line import CommandLine

from netboot.cli.main import cli
from netboot.errors import ConfigError, HostFileError, HostsNotWritableError, UnknownHostError
from netboot.model.boot.boot_client import Machine
from netboot.model.host.mac import Mac
from netboot.store.database import Database
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
