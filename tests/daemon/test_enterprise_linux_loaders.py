"""The loaders of Enterprise Linux's package under their own names, from `netboot check` to the fallback loader."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest
from fixtures.files import OPEN_SETTINGS, write_files, write_loaders
from fixtures.packets import ADDRESS, SERVER, message, opts, vector
from fixtures.rack import Rack, a_rack
from fixtures.wire import Wire

pytestmark = pytest.mark.integration

PE_MACHINES = {"ipxe-snponly-x86_64.efi": 0x8664, "ipxe-x86_64.efi": 0x8664, "ipxe-i386.efi": 0x14C}


@pytest.fixture(scope="module")
def el_rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    directory = write_files(tmp_path_factory.mktemp("el"), settings=OPEN_SETTINGS)
    write_loaders(directory / "boot", PE_MACHINES, {"undionly.kpxe": b"x" * 1000})
    with a_rack(directory) as rack:
        rack.add_client_address(ADDRESS)
        rack.netboot("install", "arm", "cp1")
        rack.start()
        yield rack


@pytest.fixture
def wire(el_rack: Rack) -> Iterator[Wire]:
    wire = el_rack.lan.wire()
    yield wire
    wire.close()


def boot(rack: Rack, wire: Wire, xid: int) -> bytes:
    """Boot as UEFI firmware does, up to its loader, which then does nothing; return the loader's name."""
    name = wire.query(message(opts(), xid=xid)).name
    with rack.reading_datagrams():
        wire.send(message([(53, b"\3"), (54, bytes((192, 0, 2, 1))), (50, bytes((192, 0, 2, 50)))], xid=xid))
    command = ["curl", "-sS", "--max-time", "10", "--interface", ADDRESS, "-o", "/dev/null"]
    read = [*command, f"tftp://{SERVER}/{name.decode()}"]
    subprocess.run(["ip", "netns", "exec", rack.client_namespace, *read], check=True, timeout=20)
    time.sleep(3.5)  # no machine fails and boots again in less time
    return name


def test_each_architecture_gets_its_loader(wire: Wire):
    cp1, other = bytes.fromhex("525400aabb01"), bytes.fromhex("525400999901")  # what cp1 gets depends on its boots
    requests = [vector(f"discover-{name}").replace(cp1, other) for name in ("uefi-x64", "uefi-ia32", "bios")]

    answers = [wire.query(datagram).name for datagram in requests]

    assert answers == [b"ipxe-snponly-x86_64.efi", b"ipxe-i386.efi", b"undionly.kpxe"]


def test_check_names_what_each_architecture_will_get(el_rack: Rack):
    reply = json.loads(el_rack.netboot("check", "--json"))

    boot = el_rack.directory / "boot"
    given = {each["architecture"]: (each["loader"], each["path"], each["then"]) for each in reply["loaders"]}
    assert given["x64 UEFI, PXE"] == ("ipxe-snponly-x86_64.efi", f"{boot}/ipxe-snponly-x86_64.efi", ["ipxe-x86_64.efi"])
    assert given["ia32 UEFI, PXE"] == ("ipxe-i386.efi", f"{boot}/ipxe-i386.efi", [])
    assert given["BIOS, PXE"] == ("undionly.kpxe", f"{boot}/undionly.kpxe", [])
    assert given["arm64 UEFI, PXE"] == (None, None, [])


def test_the_build_with_its_own_drivers_comes_after_two_boots_to_no_script(el_rack: Rack, wire: Wire):
    names = [boot(el_rack, wire, 0x7000 + number) for number in range(3)]

    assert names == [b"ipxe-snponly-x86_64.efi", b"ipxe-snponly-x86_64.efi", b"ipxe-x86_64.efi"]
