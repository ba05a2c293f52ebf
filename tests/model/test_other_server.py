"""Another server: what each of its replies adds to what is known of it, and what an operator reads."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest

from netboot.model.boot.other_server import (
    Here,
    OtherServer,
    ServerEffect,
    ServerKind,
    ServerReply,
    after_choice,
    after_reply,
)
from netboot.model.host.mac import Mac

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
US, SERVER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.254")
SERVER_MAC, CLIENT, OTHER_CLIENT = (Mac.parse(f"52:54:00:00:00:{each:02x}") for each in (0xFE, 1, 2))
LEASE = ServerReply(ServerKind.DHCP, SERVER, SERVER_MAC, CLIENT, 7, False, False, "", "")
BOOT_LEASE = replace(LEASE, boot_file="pxelinux.0", next_server="192.0.2.9")
HERE = Here((US,))
PROXY = replace(BOOT_LEASE, kind=ServerKind.PROXY, has_pxe_option=True, has_menu=True)


def seen(*replies: ServerReply, here: Here = HERE, answers_boot: bool = True) -> OtherServer:
    server, now = None, NOW
    for reply in replies:
        server = after_reply(server, reply, here, interface="eth0", answers_boot=answers_boot, now=now)
        now = LATER
    assert server is not None
    return server


def test_a_first_reply_is_the_server() -> None:
    assert seen(PROXY) == OtherServer(
        address=SERVER,
        mac=SERVER_MAC,
        interface="eth0",
        kind=ServerKind.PROXY,
        effect=ServerEffect.PXE_SERVER,
        boot_file="pxelinux.0",
        next_server="192.0.2.9",
        has_menu=True,
        boot_client=CLIENT,
        first_seen=NOW,
        last_seen=NOW,
        offers=1,
    )


@pytest.mark.parametrize(
    ("reply", "here", "effect", "takes_boots"),
    [
        (LEASE, HERE, ServerEffect.NONE, False),
        (BOOT_LEASE, HERE, ServerEffect.BOOT_FILE, True),
        (BOOT_LEASE, Here((IPv4Address("192.0.2.9"),)), ServerEffect.LEADS_HERE, False),
        (replace(BOOT_LEASE, boot_file="http://192.0.2.1:8080/x"), HERE, ServerEffect.LEADS_HERE, False),
        (replace(BOOT_LEASE, boot_file="tftp://192.0.2.11/x"), HERE, ServerEffect.BOOT_FILE, True),
        (replace(LEASE, next_server=str(US)), HERE, ServerEffect.NONE, False),
        (replace(LEASE, has_pxe_option=True), HERE, ServerEffect.PXE_OPTION, True),
        (PROXY, HERE, ServerEffect.PXE_SERVER, True),
        (LEASE, Here((US,), leases=True), ServerEffect.LEASES, True),
        (PROXY, Here((US,), leases=True), ServerEffect.PXE_SERVER, True),
    ],
)
def test_the_effect_of_a_server_is_that_of_its_replies(
    reply: ServerReply, here: Here, effect: ServerEffect, takes_boots: bool
) -> None:
    server = seen(reply, here=here)
    assert (server.effect, server.takes_boots) == (effect, takes_boots)
    assert bool(server.cure) is takes_boots


def test_a_reply_without_boot_file_to_another_machine_keeps_what_is_known() -> None:
    server = seen(BOOT_LEASE, replace(LEASE, client=OTHER_CLIENT))
    assert server == replace(seen(BOOT_LEASE), last_seen=LATER, offers=2)


def test_a_reply_to_the_running_system_of_the_machine_keeps_what_is_known() -> None:
    server = seen(BOOT_LEASE, LEASE, answers_boot=False)
    assert (server.effect, server.boot_file) == (ServerEffect.BOOT_FILE, "pxelinux.0")


def test_a_boot_of_the_same_machine_without_boot_file_clears_it() -> None:
    server = seen(BOOT_LEASE, LEASE)
    assert server == replace(seen(LEASE), first_seen=NOW, last_seen=LATER, offers=2)


def test_a_server_that_a_machine_chose_is_known_by_its_address_until_it_is_seen() -> None:
    chosen = after_choice(None, SERVER, HERE, interface="eth0", now=NOW)
    assert (chosen.effect, chosen.offers, chosen.mac, chosen.takes_boots) == (ServerEffect.UNSEEN, 0, None, False)
    assert "verify that it sends no boot file" in chosen.cure
    assert after_choice(chosen, SERVER, HERE, interface="eth0", now=LATER) == replace(chosen, last_seen=LATER)

    first = after_reply(chosen, LEASE, HERE, interface="eth0", answers_boot=False, now=LATER)
    assert first == replace(seen(LEASE), last_seen=LATER)


def test_a_server_that_a_machine_chose_where_this_appliance_leases_is_a_rival() -> None:
    chosen = after_choice(None, SERVER, Here((US,), leases=True), interface="eth0", now=NOW)
    assert (chosen.effect, chosen.takes_boots) == (ServerEffect.LEASES, True)


def test_a_boot_file_that_appears_later_changes_the_effect() -> None:
    server = seen(LEASE, BOOT_LEASE)
    assert (server.effect, server.boot_client, server.first_seen) == (ServerEffect.BOOT_FILE, CLIENT, NOW)


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        (
            seen(LEASE),
            "the DHCP server 192.0.2.254 (52:54:00:00:00:fe) on eth0 leases addresses and sends no boot file",
        ),
        (
            seen(replace(BOOT_LEASE, mac=None)),
            "the DHCP server 192.0.2.254 on eth0 sends the boot file pxelinux.0 on 192.0.2.9, "
            "so machines may boot that instead of netboot",
        ),
        (
            seen(replace(BOOT_LEASE, mac=None, boot_file="http://192.0.2.1/x.efi")),
            "the DHCP server 192.0.2.254 on eth0 sends the boot file http://192.0.2.1/x.efi, which is this appliance",
        ),
        (
            seen(replace(BOOT_LEASE, mac=None, next_server="")),
            "the DHCP server 192.0.2.254 on eth0 sends the boot file pxelinux.0, "
            "so machines may boot that instead of netboot",
        ),
        (
            seen(replace(PROXY, mac=None)),
            "the PXE server 192.0.2.254 on eth0 answers boot requests, so machines may boot from it instead of netboot",
        ),
    ],
)
def test_a_sentence_names_the_server_and_what_it_does(server: OtherServer, sentence: str) -> None:
    assert server.sentence == sentence
