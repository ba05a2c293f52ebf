"""Checks what the daemon may read and write: as its user, and against its unit's sandbox.

The unit is the installed one with its drop-ins, else the one that comes with the source (systemd.exec(5)). If it is
not installed, or serves another configuration, findings are notes, because the daemon may be started otherwise.
"""

import os
import pwd
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from netboot.bmc.credentials import credentials_path
from netboot.doctor.configuration.check_report import CheckReport
from netboot.model.access.certificate_files import CertificateFiles
from netboot.model.access.secret_file import is_credential
from netboot.model.release import EntryKind
from netboot.registry.load import Configuration
from netboot.settings.settings import Settings
from netboot.store.sealing.key_file import default_key_file

UNIT: Final = "netboot.service"
_UNIT_DIRECTORIES: Final = tuple(
    Path(root, "systemd/system") for root in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
)
_SHIPPED: Final = Path(__file__).parents[3] / "systemd"
_DEFAULT_CONFIG: Final = "/etc/netboot/netboot.yaml"
_CONFIGURATION: Final = "a file of the configuration"
_IGNITION: Final = "an Ignition file"
_OF_A_HOOK: Final = "a file of a hook"
_OF_THE_STORE: Final = "store.password_file"
_KEY_OF_THE_STORE: Final = "store.key_file"
_OF_TLS: Final = "a file of admin.tls"
_OF_REGISTRY: Final = "a file of registry"
_OF_A_BMC: Final = "the credentials of a BMC"
_MOST_FILES: Final = 20_000  # of boot media and boot files that are opened


@dataclass(frozen=True, slots=True)
class Unit:
    """The options of a unit that affect what the daemon may do."""

    user: str
    config: Path
    is_installed: bool
    is_strict: bool  # ProtectSystem=strict: only the following paths are writable
    hides_homes: bool
    writable: tuple[Path, ...]
    capabilities: frozenset[str] = frozenset()
    descriptors: int | None = None  # LimitNOFILE
    program: Path | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    reads: dict[str, str] = field(default_factory=dict)  # a path and what it is
    writes: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)


def check_access(configuration: Configuration) -> CheckReport:
    """Check every file and directory that the daemon needs; without root, only those that this user can access."""
    report = CheckReport()
    unit = unit_here()
    if unit is None:
        report.notes.append(f"not checked: what the daemon's user may read and write: no {UNIT} is installed")
        return report
    wanted = _wanted(configuration)
    found = [*_outside_sandbox(unit, wanted), *_denied(unit, wanted, report)]
    is_its_own = unit.is_installed and configuration.files[0].absolute() == unit.config
    (report.problems if is_its_own else report.notes).extend(found)
    return report


def group_of_daemon() -> int | None:
    """Return the group of the daemon's user, to which root may give a file; None: not root, or no such user."""
    unit = unit_here()
    if unit is None or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(unit.user).pw_gid
    except KeyError:
        return None


def _denied(unit: Unit, wanted: Wanted, report: CheckReport) -> list[str]:
    try:
        user = pwd.getpwnam(unit.user)
    except KeyError:
        if unit.is_installed:
            report.problems.append(f"{UNIT} runs as {unit.user}, and there is no such user; systemd-sysusers makes it")
        return _owners_alone(wanted, unit.user)
    if os.geteuid() == user.pw_uid:
        return _refused(wanted, unit.user)
    if os.geteuid() == 0:
        return _as_user(user, wanted)
    report.notes.append(
        f"not checked: what {unit.user}, the daemon's user, may read and write: run netboot check as root"
    )
    return []


def _owners_alone(wanted: Wanted, user: str) -> list[str]:
    """List files that only their owner may read: the daemon's user, which does not exist yet, will not be the owner."""
    return [
        f"{path}: only its owner may read it ({what}), and {UNIT} runs as {user}; "
        f"chgrp {user} {path} && chmod g+r {path}"
        for path, what in wanted.reads.items()
        if what in (_CONFIGURATION, _IGNITION, _OF_A_HOOK, _OF_THE_STORE, _OF_TLS, _OF_REGISTRY)
        and not Path(path).stat().st_mode & 0o044
    ]


def _wanted(configuration: Configuration) -> Wanted:
    settings, wanted = configuration.settings, Wanted()
    content = settings.content.directory
    ignition = {host.ignition for host in configuration.hosts if host.ignition is not None and host.ignition.exists()}
    repositories = [
        path
        for release in sorted((content / EntryKind.RELEASE).glob("*"))
        for path in (release, release / "config", release / "objects", release / "refs" / "heads")
        if path.exists()
    ]
    for what, paths in (
        (_CONFIGURATION, [path.absolute() for path in configuration.files if path.exists()]),
        (_IGNITION, sorted(ignition)),
        (_OF_A_HOOK, _files_of_hooks(settings)),
        (_OF_THE_STORE, _present([settings.store.password_file])),
        (_KEY_OF_THE_STORE, _present([settings.store.key_file or default_key_file(settings.store.url)])),
        (_OF_TLS, _files_of(settings.admin.tls.files if settings.admin.tls is not None else None)),
        (_OF_REGISTRY, _files_of(settings.registry.files)),
        (_OF_A_BMC, _files_of_bmcs(configuration)),
        ("a template", _below(settings.render.templates)),
        ("a boot loader", _below(settings.bootfiles.directories)),
        ("content", (*_below([content / EntryKind.MEDIUM]), *repositories)),
    ):
        wanted.reads.update({str(path): what for path in paths})
    programs = [Path(hook.command[0]) for hook in settings.hooks if hook.command]
    wanted.runs.update({str(path): "the command of a hook" for path in programs if os.access(path, os.F_OK)})
    if settings.cluster.commands is not None:
        programs = [Path(command[0]) for _, command in settings.cluster.commands if command]
        wanted.runs.update({str(path): "a command of cluster.commands" for path in _present(programs)})
    if content.is_dir():
        wanted.writes[str(content)] = "content.directory: no upload, delta or summary can be made"
    if settings.store.url.startswith("sqlite"):
        store = Path(settings.store.url.partition(":///")[2])
        wanted.writes[str(store if store.exists() else store.parent)] = "store.url: no install can be recorded"
    if settings.logs.port or settings.records.captures:
        records = settings.records.directory
        made = next(each for each in (records, *records.parents) if each.exists())
        wanted.writes.setdefault(str(made), "records.directory: no log or capture of a boot can be kept")
    return wanted


def _files_of_hooks(settings: Settings) -> list[Path]:
    return _present(path for hook in settings.hooks for path in (hook.secret_file, hook.ca_file))


def _files_of_bmcs(configuration: Configuration) -> list[Path]:
    directory = configuration.files[0].absolute().parent / configuration.settings.bmc.credentials
    return sorted(
        {*_present(credentials_path(host, directory) for host in configuration.hosts if host.bmc is not None)}
    )


def _files_of(named: CertificateFiles | None) -> list[Path]:
    return [] if named is None else _present((named.certificate, named.key))


def _present(files: Iterable[Path | None]) -> list[Path]:
    """List the files that exist, without credentials, which systemd reads for the daemon."""
    return [path for path in files if path is not None and os.access(path, os.F_OK) and not is_credential(path)]


def _below(directories: Iterable[Path]) -> Iterator[Path]:
    for directory in directories:
        if directory.is_dir():
            yield directory
            yield from sorted(directory.rglob("*"))[:_MOST_FILES]


def _outside_sandbox(unit: Unit, wanted: Wanted) -> Iterator[str]:
    if unit.hides_homes:
        for path, what in (wanted.reads | wanted.runs).items():
            if f"{os.path.realpath(path)}/".startswith(("/home/", "/root/")):  # resolve() raises for a link loop
                yield (
                    f"{path} ({what}) lies in a home, which ProtectHome= of {UNIT} hides from the daemon; "
                    "put it elsewhere, as below /etc/netboot or /var/lib/netboot"
                )
                break
    for path, what in wanted.writes.items():
        directory = Path(path) if Path(path).is_dir() else Path(path).parent
        if unit.is_strict and not any(directory.resolve().is_relative_to(each) for each in unit.writable):
            yield (
                f"{directory} is read-only for {UNIT} (ProtectSystem=strict), {what}; "
                f"systemctl edit {UNIT.removesuffix('.service')}, add [Service] ReadWritePaths={directory}, and restart"
            )


def _as_user(user: pwd.struct_passwd, wanted: Wanted) -> list[str]:
    """Check with the rights of the daemon's user, then take back those of root."""
    groups, group_ids = os.getgroups(), os.getresgid()
    try:
        os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
        os.setresgid(user.pw_gid, user.pw_gid, -1)
        os.setresuid(user.pw_uid, user.pw_uid, -1)
        return _refused(wanted, user.pw_name)
    except PermissionError:
        return [f"cannot check as {user.pw_name}, the daemon's user: this process may not become it; run it as root"]
    finally:
        os.setresuid(0, 0, -1)
        with suppress(PermissionError):
            os.setresgid(*group_ids)
            os.setgroups(groups)


def _refused(wanted: Wanted, user: str) -> list[str]:
    """List the files that this process may not read, run or write."""
    found = []
    for path, what in wanted.reads.items():
        is_directory = os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises below a directory that is closed
        mode = os.R_OK | os.X_OK if is_directory else os.R_OK
        if not os.access(path, mode):
            cure = f"chown {user}: {path}" if what is _OF_A_BMC else _cure(path, user)  # no other user may read those
            found.append(f"{path}: {user}, the daemon's user, may not read it ({what}); {cure}")
    for path, what in wanted.runs.items():
        if not os.access(path, os.X_OK):
            found.append(
                f"{path}: {user}, the daemon's user, may not run it ({what}); {_cure(path, user, is_run=True)}"
            )
    for path, what in wanted.writes.items():
        if not os.access(path, os.W_OK):
            cure = f"chown {user}: {path}" if os.access(path, os.F_OK) else f"install -d -o {user} -g {user} {path}"
            found.append(f"{path}: {user}, the daemon's user, may not write it, {what}; {cure}")
    return found


def _cure(path: str, user: str, *, is_run: bool = False) -> str:
    for parent in reversed(Path(path).parents):
        if not os.access(parent, os.X_OK):
            return f"chgrp {user} {parent} && chmod g+rx {parent}"
    return f"chgrp {user} {path} && chmod g+r{'x' if is_run or Path(path).is_dir() else ''} {path}"


def unit_here() -> Unit | None:
    """Read the installed unit with its drop-ins, else the one that comes with the source; None: there is none."""
    # in order of precedence: systemd.unit(5), SYSTEMD_UNIT_PATH
    named = os.environ.get("SYSTEMD_UNIT_PATH", "")
    directories = [Path(each) for each in named.split(":") if each] or _UNIT_DIRECTORIES
    for directory in (*directories, _SHIPPED):
        if (directory / UNIT).is_file():
            drop_ins = {path.name: path for each in reversed(directories) for path in each.glob(f"{UNIT}.d/*.conf")}
            files = [directory / UNIT, *(path for _, path in sorted(drop_ins.items()))]
            return _read_unit([path.read_text() for path in files], is_installed=directory is not _SHIPPED)
    return None


def _read_unit(texts: Sequence[str], *, is_installed: bool) -> Unit:
    values: dict[str, list[str]] = {}
    for text in texts:
        for line in text.splitlines():
            key, equals, value = line.strip().partition("=")
            if equals and not key.startswith(("#", ";")):
                # an empty assignment resets the list
                values[key] = [*values.get(key, []), value.strip()] if value.strip() else []
    last = {key: found[-1] for key, found in values.items() if found}
    writable = [Path(word.lstrip("-+:")) for value in values.get("ReadWritePaths", ()) for word in value.split()]
    for key, base in (("StateDirectory", "/var/lib"), ("RuntimeDirectory", "/run"), ("CacheDirectory", "/var/cache"),
                      ("LogsDirectory", "/var/log")):  # fmt: skip
        writable += [Path(base, word.partition(":")[0]) for value in values.get(key, ()) for word in value.split()]
    starts = " ".join([*values.get("ExecStart", ()), *values.get("Environment", ())])
    config = re.findall(r"(?:--config[ =]|NETBOOT_CONFIG=)\"?([^\s\"]+)", starts)
    return Unit(
        user=last.get("User", "root"),
        config=Path(config[-1] if config else _DEFAULT_CONFIG),
        is_installed=is_installed,
        is_strict=last.get("ProtectSystem") == "strict",
        hides_homes=last.get("ProtectHome", "no") not in ("no", "false", "0", "off", "read-only"),
        writable=tuple(writable),
        capabilities=frozenset(" ".join(values.get("AmbientCapabilities", ())).split()),
        descriptors=int(limit) if (limit := last.get("LimitNOFILE", "").split(":")[-1]).isdecimal() else None,
        program=Path(last["ExecStart"].split()[0].lstrip("-@:+!")) if last.get("ExecStart") else None,
    )
