"""Checks what the daemon may do: capabilities (capabilities(7)) and SELinux."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from netboot.doctor.box.box_facts import NotCheckedError
from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.configuration.access_checks import UNIT, Unit, unit_here
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.model.host.network import DhcpListen, DhcpMode

_RIGHTS: Final = "box.rights"
_SELINUX: Final = "box.selinux"
_BIND_SERVICE: Final = ("CAP_NET_BIND_SERVICE", 10)  # <linux/capability.h>
_RAW: Final = ("CAP_NET_RAW", 13)
_CURE: Final = (
    "systemctl edit netboot, add [Service] AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_RAW and the same "
    "CapabilityBoundingSet=, then systemctl restart netboot; without systemd, start the daemon as root"
)
_FIRST_UNPRIVILEGED: Final = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
_NOT_RUN: Final = frozenset({"user_home_t", "admin_home_t", "user_tmp_t", "tmp_t", "default_t", "httpd_sys_content_t"})
_AUDIT: Final = "/var/log/audit/audit.log"
_AUDIT_LINES: Final = 20_000
_DENIED: Final = re.compile(r'avc: +denied .*(?:comm="netboot|exe="/opt/netboot/)')


def check_rights(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report each capability that the daemon needs with these settings and does not have."""
    whose, has = _capabilities(given)
    settings = given.settings
    ports = {settings.tftp.port, settings.http.port}
    if settings.dhcp.mode is not DhcpMode.OFF:
        ports |= {settings.dhcp.port, settings.dhcp.pxe_port}
    found = given.facts.number(_FIRST_UNPRIVILEGED)
    first = 1024 if found is None else found
    privileged = sorted(port for port in ports if port < first)
    if privileged and not has(_BIND_SERVICE):
        listed = ", ".join(map(str, privileged))
        sentence = f"{whose} has no {_BIND_SERVICE[0]}, so it cannot open the ports below {first}: {listed}"
        yield DoctorFinding(_RIGHTS, Level.PROBLEM, sentence, (f"{_FIRST_UNPRIVILEGED}: {first}",), _CURE)
    if not has(_RAW):
        needs = settings.dhcp.listen is DhcpListen.PACKET or settings.dhcp.mode is DhcpMode.RESERVATION
        effect = "it cannot send and receive frames" if needs else "other DHCP servers of the LAN are not observed"
        sentence = f"{whose} has no {_RAW[0]}: {effect}"
        yield DoctorFinding(_RIGHTS, Level.PROBLEM if needs else Level.WARNING, sentence, (), _CURE)


def check_selinux(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report what an enforcing SELinux denies the daemon: programs with a label that services may not run, denials."""
    if given.facts.number("/sys/fs/selinux/enforce") != 1:
        return
    program = _program(given)
    label = given.facts.label(program) if program is not None else None
    if program is not None and label is not None and _type(label) in _NOT_RUN:
        directory = program.parent
        yield DoctorFinding(
            _SELINUX,
            Level.PROBLEM,
            f"SELinux is enforcing, and {program} has the type {_type(label)}, which services may not run",
            (f"{label} {program}",),
            f"semanage fcontext -a -t bin_t '{directory}(/.*)?' && restorecon -Rv {directory}",
        )
    if denied := _denied(given):
        yield DoctorFinding(
            _SELINUX,
            Level.WARNING,
            "SELinux denied the daemon something",
            (denied[-1],),
            "restorecon -Rv /opt/netboot /etc/netboot /var/lib/netboot; if it is denied again: "
            "ausearch -m AVC -c netboot --raw | audit2allow -M netboot && semodule -i netboot.pp",
        )


def _capabilities(given: BoxInputs) -> tuple[str, "_Has"]:
    """Return whose capabilities count: those of the running daemon, else of its unit, else of this user."""
    process = given.daemon_process
    if process is not None:
        return f"the daemon (process {process})", _effective(given, str(process))
    if given.daemon_runs:
        raise NotCheckedError("the process of the running daemon is not known")
    unit = unit_here()
    if unit is not None and unit.is_installed and unit.user != "root":
        return UNIT, _Has(_of_unit(unit))
    return "this user", _effective(given, "self")


class _Has:
    """A set of capabilities, as bits."""

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def __call__(self, capability: tuple[str, int]) -> bool:
        return bool(self._bits & 1 << capability[1])


def _effective(given: BoxInputs, process: str) -> _Has:
    status = given.facts.text(f"/proc/{process}/status") or ""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    if found is None:
        raise NotCheckedError(f"/proc/{process}/status cannot be read")
    return _Has(int(found[1], 16))


def _of_unit(unit: Unit) -> int:
    return sum(1 << bit for name, bit in (_BIND_SERVICE, _RAW) if name in unit.capabilities)


def _program(given: BoxInputs) -> Path | None:
    """Return the program of the daemon, with links resolved: what systemd executes."""
    unit = unit_here()
    if unit is None or not unit.is_installed or unit.program is None:
        return None
    with suppress(OSError):
        return given.facts.path(str(unit.program)).resolve()
    return None


def _type(label: str) -> str:
    """Return the type of a label: user:role:type:level."""
    parts = label.split(":")
    return parts[2] if len(parts) > 2 else label


def _denied(given: BoxInputs) -> list[str]:
    lines = (given.facts.text(_AUDIT) or "").splitlines()[-_AUDIT_LINES:]
    return [line for line in lines if _DENIED.search(line)]
