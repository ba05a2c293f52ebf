"""A listener gets a part of the descriptors that this process has, so that some are left for files."""

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from serve.conftest import Limit

from netboot.serve.net.descriptors import (
    DescriptorUser,
    ListeningSocket,
    are_scarce,
    cure,
    is_scarce,
    may_use,
    part_of_descriptors,
)


@pytest.mark.parametrize(
    ("descriptors", "of_boot_lan", "of_admin"),
    [(16_384, 12_288, 128), (1_024, 768, 64)],
)
def test_a_low_limit_of_descriptors_leaves_some_beside_the_connections(
    limit: Limit, descriptors: int, of_boot_lan: int, of_admin: int
):
    limit(descriptors)

    assert (part_of_descriptors(49_152), part_of_descriptors(512)) == (of_boot_lan, of_admin)
    assert part_of_descriptors(3) == 3


def test_the_last_numbers_are_kept_for_transfers_the_administration_and_files_in_this_order(limit: Limit):
    limit(1024)

    first_kept = {user.name: next(n for n in range(1025) if not may_use(n, user)) for user in DescriptorUser}
    assert first_kept == {
        "BOOT_CONNECTION": 768,
        "LARGE_FILE": 854,
        "TRANSFER": 896,
        "ADMIN_CONNECTION": 960,
        "CONTROL_CONNECTION": 992,
    }
    assert next(n for n in range(1025) if is_scarce(n)) == 704


def test_the_cure_names_the_limit_only_while_it_is_lower_than_that_of_the_shipped_unit():
    assert cure(65_535) == "set LimitNOFILE=65536 in its unit, or find who holds many connections: ss -tn"
    assert cure(65_536) == "find who holds many connections: ss -tn"


def test_they_are_scarce_when_the_next_one_is_or_when_there_is_none(limit: Limit):
    limit(256)
    with ExitStack() as opened:
        while not is_scarce(opened.enter_context(socket.socket()).fileno() + 1):
            assert not are_scarce()
        assert are_scarce()
        with suppress(OSError):
            while True:
                opened.enter_context(socket.socket())
        assert are_scarce()
    assert not are_scarce()


def test_a_connection_whose_descriptor_is_kept_for_others_is_closed_and_the_next_one_accepted(limit: Limit):
    limit(256)
    refused: list[str] = []
    user = DescriptorUser.BOOT_CONNECTION
    with ExitStack() as opened:
        listening = opened.enter_context(
            ListeningSocket.listening(socket.AF_INET, ("127.0.0.1", 0), user=user, on_refused=refused.append)
        )
        listening.setblocking(False)
        clients = [opened.enter_context(socket.create_connection(listening.getsockname(), 5)) for _ in range(3)]
        with ExitStack() as crowd:
            while may_use(crowd.enter_context(socket.socket()).fileno(), user):
                pass
            with pytest.raises(BlockingIOError):
                listening.accept()
            clients[0].settimeout(5)
            assert clients[0].recv(1) == b""
            assert refused == ["127.0.0.1"]

        for _ in range(2):  # no pause: enough are left
            opened.enter_context(listening.accept()[0])
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert refused == ["127.0.0.1"]


def test_while_they_are_scarce_one_connection_is_accepted_in_each_turn(limit: Limit):
    limit(256)
    with ExitStack() as opened:
        listening = opened.enter_context(
            ListeningSocket.listening(
                socket.AF_INET, ("127.0.0.1", 0), user=DescriptorUser.BOOT_CONNECTION, on_refused=pytest.fail
            )
        )
        for _ in range(2):
            opened.enter_context(socket.create_connection(listening.getsockname(), 5))
        while not is_scarce(opened.enter_context(socket.socket()).fileno()):
            pass
        opened.enter_context(listening.accept()[0])
        with pytest.raises(BlockingIOError):
            listening.accept()
        opened.enter_context(listening.accept()[0])


def test_a_full_listener_closes_a_connection(limit: Limit):
    limit(256)
    refused: list[str] = []
    is_full = True
    with ExitStack() as opened:
        listening = opened.enter_context(
            ListeningSocket.listening(
                socket.AF_INET,
                ("127.0.0.1", 0),
                user=DescriptorUser.ADMIN_CONNECTION,
                on_refused=refused.append,
                is_full=lambda: is_full,
            )
        )
        for _ in range(2):
            opened.enter_context(socket.create_connection(listening.getsockname(), 5))
        with pytest.raises(BlockingIOError):
            listening.accept()
        is_full = False
        opened.enter_context(listening.accept()[0])
    assert refused == ["127.0.0.1"]


def test_a_port_that_another_socket_has_is_refused_and_nothing_stays_open():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(OSError, match="Address already in use"):
            ListeningSocket.listening(
                socket.AF_INET, listening.getsockname(), user=DescriptorUser.TRANSFER, on_refused=pytest.fail
            )
        assert len(list(Path("/proc/self/fd").iterdir())) == before
