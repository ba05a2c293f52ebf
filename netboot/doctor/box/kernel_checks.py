"""Checks limits and features of the kernel: descriptors, memory, buffers, conntrack, socket options."""

import errno
import re
import resource
import socket
from collections.abc import Callable, Iterator
from typing import Final

from netboot.doctor.box.box_facts import NotCheckedError
from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.configuration.access_checks import unit_here
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.model.host.network import DhcpListen, DhcpMode
from netboot.model.words import shown_size
from netboot.serve.net.descriptors import scarce_from
from netboot.serve.net.udp import RECEIVE_BUFFER_BYTES

_DESCRIPTORS: Final = "box.descriptors"
_KERNEL: Final = "box.kernel"
_BUFFERS: Final = "box.buffers"
_MEMORY: Final = "box.memory"
_CONNTRACK: Final = "box.conntrack"
_CONNECTIONS: Final = 3_000  # of a rack of 500 machines that boot at once: up to four each, and two that log
_OWN_FILES: Final = 256  # listeners, store, records
_LITTLE_MEMORY: Final = 256 << 20
_LEAST_MEMORY: Final = 64 << 20
_IP_PKTINFO: Final = 8  # <linux/in.h>; the socket module has no name for it
_NEARLY_FULL, _FULL = 0.8, 0.98


def check_descriptors(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Compare the limit of open files with what many machines at once need."""
    tftp, http = given.settings.tftp, given.settings.http
    used = tftp.max_transfers + 2 * http.max_streams + _CONNECTIONS + _OWN_FILES
    whose, limit = _descriptor_limit(given)
    if (left := scarce_from(limit)) < used:
        yield DoctorFinding(
            _DESCRIPTORS,
            Level.WARNING,
            f"{whose} may open {limit} files, {left} of them before an address gets one connection only; "
            f"{used} are needed if many machines boot at once",
            (f"Max open files: {limit}",),
            "systemctl edit netboot, add [Service] LimitNOFILE=65536, then systemctl restart netboot",
        )
    allocated, _, most = (given.facts.text("/proc/sys/fs/file-nr") or "0 0 0").split()[:3]
    if int(most) and int(most) - int(allocated) < used:
        yield DoctorFinding(
            _DESCRIPTORS,
            Level.WARNING,
            f"this computer has {allocated} open files of at most {most}",
            (f"/proc/sys/fs/file-nr: {allocated} 0 {most}",),
            f"sysctl -w fs.file-max={int(most) + 10 * used}",
        )


def _descriptor_limit(given: BoxInputs) -> tuple[str, int]:
    """Return whose limit counts, and the one to which the daemon raises itself: the hard limit."""
    if given.daemon_process is not None:
        limits = given.facts.text(f"/proc/{given.daemon_process}/limits") or ""
        found = re.search(r"^Max open files\s+\S+\s+(\d+|unlimited)", limits, re.MULTILINE)
        if found is None:
            raise NotCheckedError(f"/proc/{given.daemon_process}/limits cannot be read")
        return "the daemon", 1 << 30 if found[1] == "unlimited" else int(found[1])
    unit = unit_here()
    if unit is not None and unit.is_installed and unit.descriptors is not None:
        return "the daemon (LimitNOFILE)", unit.descriptors
    _, hardest = resource.getrlimit(resource.RLIMIT_NOFILE)
    return "a process of this user", 1 << 30 if hardest == resource.RLIM_INFINITY else hardest


def check_kernel_features(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Try each socket option that the daemon uses, on sockets that send nothing."""
    dhcp = given.settings.dhcp
    needs_frames = dhcp.listen is DhcpListen.PACKET or dhcp.mode is DhcpMode.RESERVATION
    for name, level, attempt in (
        ("AF_PACKET", Level.PROBLEM if needs_frames else Level.WARNING, _packet_socket),
        ("SO_BINDTODEVICE", Level.PROBLEM, _bind_to_device),
        ("IP_PKTINFO", Level.PROBLEM, _packet_info),
    ):
        if (fault := _failure(attempt)) is not None:
            yield DoctorFinding(
                _KERNEL,
                level,
                f"the kernel has no {name}, which the daemon uses",
                (f"{name}: {fault}",),
                "modprobe af_packet" if name == "AF_PACKET" else "use a kernel of the distribution",
            )


def _failure(attempt: Callable[[], None]) -> str | None:
    """Return why an attempt fails, unless only a right is missing, which `box.rights` reports."""
    try:
        attempt()
    except OSError as error:
        return None if error.errno in (errno.EPERM, errno.EACCES) else error.strerror or str(error)
    return None


def _packet_socket() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


def _bind_to_device() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")


def _packet_info() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def check_buffers(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Compare the largest receive buffer with the one that the daemon requests: requests of a whole rack wait there."""
    path = "/proc/sys/net/core/rmem_max"
    most = given.facts.number(path)
    if most is None:
        raise NotCheckedError(f"{path} cannot be read")
    if most < RECEIVE_BUFFER_BYTES:
        yield DoctorFinding(
            _BUFFERS,
            Level.NOTE,  # the default of most distributions
            f"a receive buffer has at most {shown_size(most)}, and the daemon requests "
            f"{shown_size(RECEIVE_BUFFER_BYTES)}: when many machines boot at once, the kernel drops some of their "
            "requests, which they repeat",
            (f"{path}: {most}",),
            f"sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}; write it into /etc/sysctl.d/90-netboot.conf too",
        )


def check_memory(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report little available memory."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", given.facts.text("/proc/meminfo") or "", re.MULTILINE)
    if found is None:
        raise NotCheckedError("/proc/meminfo cannot be read")
    available_bytes = int(found[1]) << 10
    if available_bytes < _LITTLE_MEMORY:
        yield DoctorFinding(
            _MEMORY,
            Level.PROBLEM if available_bytes < _LEAST_MEMORY else Level.WARNING,
            f"{shown_size(available_bytes)} of memory are available: the kernel may end the daemon",
            (found[0],),
            "end other programs, or add memory",
        )


def check_conntrack(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report a table of connections that is nearly full: the kernel then drops packets of new ones."""
    directory = "/proc/sys/net/netfilter"
    count = given.facts.number(f"{directory}/nf_conntrack_count")
    most = given.facts.number(f"{directory}/nf_conntrack_max")
    if count is None or not most:
        return  # conntrack is not used
    if count >= most * _NEARLY_FULL:
        is_full = count >= most * _FULL
        effect = "requests of machines are dropped" if is_full else "when it is full, requests of machines are dropped"
        yield DoctorFinding(
            _CONNTRACK,
            Level.PROBLEM if is_full else Level.WARNING,
            f"the table of connections has {count} of at most {most} entries: {effect}",
            (f"{directory}/nf_conntrack_count: {count}", f"{directory}/nf_conntrack_max: {most}"),
            f"sysctl -w net.netfilter.nf_conntrack_max={2 * most}; write it into /etc/sysctl.d/90-netboot.conf too",
        )
