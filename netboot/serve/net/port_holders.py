"""Finds the other programs that hold a port of this appliance. Reads /proc, so it needs no privilege and no library.

Linux gives a packet to the UDP socket that is bound to its destination address, not to a socket on 0.0.0.0, even if
the latter is bound to the interface (udp4_lib_lookup). So another TFTP server with such a socket receives every packet
to that address, and netboot receives none.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_MAPPED: Final = ["00000000", "00000000", "FFFF0000"]  # the words before the IPv4 address in ::ffff:192.0.2.10
_LISTEN: Final = "0A"  # TCP_LISTEN of <net/tcp_states.h>


def holders(protocol: str, port: int) -> list[tuple[IPv4Address, str]]:
    """List address and program of the sockets on a port that get IPv4: `udp`, or `tcp` that listen.

    A socket on :: is listed as 0.0.0.0: by default it gets IPv4 too (ipv6(7), IPV6_V6ONLY). A program is named where
    its process may be read. Empty if /proc cannot be read.
    """
    found = list(_sockets(protocol, port))
    programs = _programs({inode for _, inode in found})
    return [(address, programs.get(inode, "another program")) for address, inode in found]


def shadow_problems(port: int, addresses: Iterable[IPv4Address], *, what: str) -> list[str]:
    """Return a problem for each of our addresses at which another program receives the packets `what` to a UDP port."""
    ours = set(addresses)
    return [
        f"UDP port {port} on {address} belongs to {program}, whose socket is bound to that address: {what} "
        f"do not reach netboot; stop it (ss -lunp 'sport = :{port}' names it), or take this service out of it"
        for address, program in holders("udp", port)
        if address in ours
    ]


def _sockets(protocol: str, port: int) -> Iterator[tuple[IPv4Address, str]]:
    """Read addresses and inodes from net/{udp,tcp,udp6,tcp6}: proc(5); addresses are in the machine's order.

    /proc/net itself is hidden in the sandbox of netboot.service (ProcSubset=pid).
    """
    for table in (protocol, f"{protocol}6"):
        with suppress(OSError):
            for line in (_PROC / "self" / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                address, _, held = fields[1].partition(":")
                if int(held, 16) == port and (protocol == "udp" or fields[3] == _LISTEN):
                    found = _ipv4_of(address)
                    if found is not None:
                        yield found, fields[9]


def _ipv4_of(words: str) -> IPv4Address | None:
    """Read an address of 32 or 128 bits, written as words; None: an IPv6 address that gets no IPv4."""
    *before, last = (words[at : at + 8] for at in range(0, len(words), 8))
    if before and (before != _MAPPED and int(words, 16)):
        return None
    return IPv4Address(bytes.fromhex(last)[::-1])


def _programs(inodes: set[str]) -> dict[str, str]:
    """Name the programs that have these sockets open, as far as this user may read /proc.

    A process that is about to start a program holds its parent's sockets for a moment: the oldest process is named.
    One that ends or closes a file meanwhile is read as far as it still is there.
    """
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, str] = {}
    processes = [each for each in _PROC.iterdir() if each.name.isdecimal()] if wanted else []
    for process in sorted(processes, key=lambda each: int(each.name)):
        for inode in _inodes(process) & wanted.keys():
            with suppress(OSError):
                found.setdefault(wanted[inode], f"{(process / 'comm').read_text().strip()} (process {process.name})")
    return found


def _inodes(process: Path) -> set[str]:
    """List what the descriptors of a process lead to: `socket:[INODE]` for a socket."""
    found = set()
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                found.add(str(descriptor.readlink()))
    return found
