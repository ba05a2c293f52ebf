"""What shim, GRUB and iPXE request beside the loader, in their order."""

import asyncio
from ipaddress import IPv4Address

import pytest
from fixtures.pe_headers import SIGNED, pe
from fixtures.raw_http import raw_http
from fixtures.scripted_machine import Files, a_machine, loaded

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.boot_offer import BootOffer, PacketBootFile
from netboot.probe.loaded_file import FileMissingError
from netboot.probe.loading.load_loader import load_loader
from netboot.probe.loading.second_stage import (
    directory_url,
    load_autoexec,
    load_grub,
    load_grub_configuration,
)

SERVER = IPv4Address("192.0.2.10")


def offer(file, *, is_url=False, packets=None):
    return BootOffer(SERVER, file, is_url, None, 67, {}, 0.0, packets=packets)


def ok(body, *fields):
    return "\r\n".join(["HTTP/1.1 200 OK", *fields, f"Content-Length: {len(body)}", "", ""]).encode() + body


MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("made", "directory"),
    [
        (offer("shimx64.efi"), "tftp://192.0.2.10/"),
        (offer("/a/b/shimx64.efi"), "tftp://192.0.2.10/a/b/"),
        (offer("a\\shimx64.efi"), "tftp://192.0.2.10/a/"),
        (offer("x", packets=PacketBootFile(IPv4Address("192.0.2.7"), "b/shim", "the ACK")), "tftp://192.0.2.7/b/"),
        (offer("http://192.0.2.10:8080/boot/m/shimx64.efi?a=/b", is_url=True), "http://192.0.2.10:8080/boot/m/"),
    ],
)
def test_the_directory_of_shims_files(made, directory):
    assert directory_url(made) == directory


def test_shim_requests_what_is_optional_and_then_grub_each_on_its_own_connection():
    async def run():
        async with raw_http([MISSING], [MISSING], [MISSING], [ok(SIGNED)]) as server:
            machine = a_machine("grub-http", address="127.0.0.1")
            file = await load_grub(machine, offer(server.base + "/boot/shimx64.efi", is_url=True))
            return file, [request.split()[1].decode() for _, request in server.requests]

    file, requested = asyncio.run(run())

    assert file.content == SIGNED
    assert requested == [
        "/boot/revocations_sku.efi",
        "/boot/revocations_sbat.efi",
        "/boot/shim_certificate_0.efi",
        "/boot/grubx64.efi",
    ]


def test_shim_refuses_a_grub_without_a_signature():
    async def run():
        async with raw_http([MISSING], [MISSING], [MISSING], [ok(pe(0x8664))]) as server:
            await load_grub(
                a_machine("grub-http", address="127.0.0.1"), offer(server.base + "/shimx64.efi", is_url=True)
            )

    with pytest.raises(BootFailedError, match="shim prints 'Access Denied'"):
        asyncio.run(run())


def test_grub_requests_its_configuration_by_uuid_card_and_address():
    names = ["grub.cfg-00112233-4455-6677-8899-aabbccddeeff", "grub.cfg-01-52-54-00-aa-bb-01"]
    names += [f"grub.cfg-{'C0000265'[:digits]}" for digits in range(8, 0, -1)]
    files = Files({f"tftp://192.0.2.10/{name}" for name in names})

    found = asyncio.run(load_grub_configuration(a_machine("shim-grub"), offer("shimx64.efi"), files.fetch))

    assert found == loaded("tftp://192.0.2.10/grub.cfg")
    assert [url.rpartition("/")[2] for url, _ in files.requested] == [*names, "grub.cfg"]


def test_by_http_grub_reads_one_name_and_shows_its_prompt_without_it():
    files = Files({"http://192.0.2.10/grub.cfg"})

    with pytest.raises(BootFailedError, match="finds no configuration and shows its prompt") as failed:
        asyncio.run(
            load_grub_configuration(
                a_machine("grub-http"), offer("http://192.0.2.10/shimx64.efi", is_url=True), files.fetch
            )
        )

    assert failed.value.evidence == ("missing: http://192.0.2.10/grub.cfg",)


def test_grub_does_not_find_a_long_url():
    url = f"http://192.0.2.10/{'x' * 120}/shimx64.efi"

    with pytest.raises(BootFailedError, match="cannot read its own URL"):
        asyncio.run(load_grub_configuration(a_machine("grub-http"), offer(url, is_url=True), Files().fetch))


@pytest.mark.parametrize(
    ("responses", "text"),
    [
        ([ok(b"#!ipxe\n")], "#!ipxe\n"),
        ([MISSING, ok(b"#!ipxe\n")], "#!ipxe\n"),
        ([MISSING, MISSING], None),
        ([ok(b"")], None),
    ],
)
def test_autoexec_is_requested_beside_ipxe_and_then_in_the_root(responses, text):
    async def run():
        async with raw_http(responses) as server:
            machine = a_machine("ipxe-loader-autoexec", address="127.0.0.1")
            file = await load_autoexec(machine, offer(server.base + "/a/snponly.efi", is_url=True))
            return None if file is None else file.text

    assert asyncio.run(run()) == text


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SIGNED)


@pytest.mark.parametrize(
    ("responses", "path", "reason"),
    [
        ([[HEAD, ok(SIGNED, "Content-Type: text/html")]], "/loader", "its Content-Type is text/html"),
        ([[HEAD, ok(SIGNED + b"x")]], "/x.efi", "HEAD has Content-Length"),
        ([[HEAD], [ok(SIGNED)]], "/x.efi", "closed the connection"),
        ([[MISSING, MISSING]], "/x.efi", "Could not retrieve NBP file size"),
    ],
)
def test_edk2_refuses_a_loader_by_http(responses, path, reason):
    async def run():
        async with raw_http(*responses) as server:
            return await load_loader(
                a_machine("edk2-http", address="127.0.0.1"), offer(server.base + path, is_url=True)
            )

    with pytest.raises(BootFailedError, match=reason) as failed:
        asyncio.run(run())

    assert failed.value.step is Step.LOADER
    assert isinstance(failed.value, FileMissingError) is (responses[0][0] is MISSING)


def test_edk2_loads_by_head_and_get_on_one_connection():
    async def run():
        async with raw_http([HEAD, ok(SIGNED, "Content-Type: application/efi")]) as server:
            made = offer(server.base + "/loader", is_url=True)
            return await load_loader(a_machine("edk2-http", address="127.0.0.1"), made), server.requests

    file, requests = asyncio.run(run())

    assert file.content == SIGNED
    assert [(number, request.split()[0]) for number, request in requests] == [(0, b"HEAD"), (0, b"GET")]
