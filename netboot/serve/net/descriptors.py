"""How many descriptors the daemon has, and which of them each kind of user may have.

Linux gives a new descriptor the lowest free number (open(2)). So a user that gives back each number from a limit on
leaves all numbers from there to the users after it in `DescriptorUser`, however many connections are opened.
"""

import os
import resource
import socket
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, Self

DESCRIPTORS: Final = 65_536  # as systemd/netboot.service has it
_LEAST: Final = 64


class DescriptorUser(IntEnum):
    """Who uses a descriptor. The value N: this user may not have the last 1/N of the numbers.

    They are kept for the users further down, and in the end for the store and small files.
    """

    BOOT_CONNECTION = 4  # HTTP, registry and syslog of the boot LAN
    LARGE_FILE = 6  # that HTTP sends
    TRANSFER = 8  # by TFTP: the socket, and a large file
    ADMIN_CONNECTION = 16  # admin.listen
    CONTROL_CONNECTION = 32  # the control socket


def permitted() -> int:
    """Return how many descriptors this process may have now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def cure(most: int) -> str:
    """Return what to do while few of at most this many descriptors are left."""
    find = "find who holds many connections: ss -tn"
    return find if most >= DESCRIPTORS else f"set LimitNOFILE={DESCRIPTORS} in its unit, or {find}"


def may_use(number: int, user: DescriptorUser) -> bool:
    """Return whether this user may keep the descriptor that it got."""
    most = permitted()
    return number < most - most // user


def scarce_from(most: int) -> int:
    """Return the first number, of at most this many, from which on descriptors are scarce."""
    return most - most // DescriptorUser.BOOT_CONNECTION - most // 16


def is_scarce(number: int) -> bool:
    """Return whether at most a sixteenth of all numbers is left to connections of the boot LAN."""
    return number >= scarce_from(permitted())


def are_scarce() -> bool:
    """Return whether a connection that comes now would find that descriptors are scarce."""
    try:
        number = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    os.close(number)
    return is_scarce(number)


def part_of_descriptors(most: int) -> int:
    """Return how many connections a listener may have that has `most` with all descriptors: fewer with a low limit."""
    limit = permitted()
    return most if limit >= DESCRIPTORS else min(most, max(_LEAST, most * limit // DESCRIPTORS))


class ListeningSocket(socket.socket):
    """A TCP or UNIX socket that closes connections at once whose descriptors are kept for other users."""

    _user: DescriptorUser
    _is_full: Callable[[], bool] | None
    _on_refused: Callable[[str], object]
    _must_pause: bool

    @classmethod
    def listening(
        cls,
        family: socket.AddressFamily,
        address: Any,
        *,
        user: DescriptorUser,
        on_refused: Callable[[str], object],
        is_full: Callable[[], bool] | None = None,
    ) -> Self:
        """Bind it and listen; raise OSError. `on_refused` gets the address of each connection that was closed.

        `is_full` returns whether those that are open are enough.
        """
        opened = cls(family, socket.SOCK_STREAM)
        opened._user, opened._on_refused, opened._is_full = user, on_refused, is_full
        opened._must_pause = False
        try:
            if family != socket.AF_UNIX:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            opened.listen()
        except OSError:
            opened.close()
            raise
        return opened

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection as asyncio does, which in one turn of its loop accepts until BlockingIOError.

        With `is_full`, or while descriptors are scarce, it is one in each turn: its protocol counts it first.
        """
        if self._must_pause:
            self._must_pause = False
            raise BlockingIOError
        accepted, peer = super().accept()
        number = accepted.fileno()
        if not may_use(number, self._user) or (self._is_full is not None and self._is_full()):
            accepted.close()
            self._on_refused(peer[0] if peer else "")
            raise BlockingIOError  # at which asyncio ends its turn: refusals delay nothing else
        self._must_pause = self._is_full is not None or is_scarce(number)
        return accepted, peer
