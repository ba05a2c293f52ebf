"""Requests every static file that a host's machine would request, and compares it with what this appliance has.

Never requested: a URL with a token, and the script of a registered machine. Each file is requested from the server
that the host's documents name: this one, or `content.url`.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.boot.firmware.requested_names import find_loader, second_stage
from netboot.content.library.disk import sha256
from netboot.content.library.record import Record
from netboot.content.media.boot_media import INITRD, KERNEL, STAGE2, TREEINFO, stage2_named
from netboot.content.ostree.deltas import delta_member
from netboot.content.ostree.object_table import object_member
from netboot.content.ostree.repository import PULLED_FILES, SUMMARY, read_ref
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.doctor.host.fetched_file import FetchedFile, fetch
from netboot.doctor.host.host_facts import HostFacts, OfferedLoader
from netboot.errors import ContentError
from netboot.model import urls
from netboot.model.host.host import Host
from netboot.model.release import EntryKind, RemoteRelease

LOADER_SENT: Final = "host.loader_sent"
MEDIUM_SENT: Final = "host.medium_sent"
RELEASE_SENT: Final = "host.release_sent"
_AT_ONCE: Final = 4
Fetch = Callable[[str], FetchedFile]


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file that the machine requests. `sha256`: of the file as this appliance has it; None if that is not known."""

    check: str
    what: str  # as a message calls it
    url: str
    sha256: str | None = None
    is_optional: bool = False  # its absence is normal; a 404 is no fault


async def check_served_files(
    facts: HostFacts, host: Host, offered: Sequence[OfferedLoader], *, request: Fetch = fetch
) -> list[DoctorFinding]:
    """Request the loaders, the medium and the release of a host, four files at once."""
    wanted = await asyncio.to_thread(lambda: list(wanted_files(facts, host, offered)))
    gate = asyncio.Semaphore(_AT_ONCE)

    async def sent(file: WantedFile) -> FetchedFile:
        async with gate:
            return await asyncio.to_thread(request, file.url)

    answers = await asyncio.gather(*map(sent, wanted))
    pairs = list(zip(wanted, answers, strict=True))
    found = [finding for file, answer in pairs if (finding := _judged(file, answer)) is not None]
    stage2 = _other_stage2(facts, host, pairs)
    if stage2 is not None and (finding := _judged(stage2, await sent(stage2))) is not None:
        found.append(finding)
    return found


def wanted_files(facts: HostFacts, host: Host, offered: Sequence[OfferedLoader]) -> Iterator[WantedFile]:
    """Yield the static files that the machine of a host requests, in the order of a boot. Reads the files' digests."""
    yield from _loaders(facts, offered)
    if host.boot_media is not None:
        yield from _medium(facts, host.boot_media)
    if isinstance(host.release, RemoteRelease):
        yield WantedFile(RELEASE_SENT, f"the ref of {host.release}", urls.ref_of(host.release))
    elif host.release is not None:
        yield from _release(facts, host.release)


def _loaders(facts: HostFacts, offered: Sequence[OfferedLoader]) -> Iterator[WantedFile]:
    files = facts.content.registry.boot_files
    names = dict.fromkeys(each.loader for each in offered if each.loader is not None)
    for name in dict.fromkeys([*names, *(second for name in names if (second := second_stage(name)) is not None)]):
        file = find_loader(files, name)
        digest = _digest(file.path) if file is not None else None
        yield WantedFile(LOADER_SENT, f"the boot loader {name}", urls.boot_file(facts.base_url, name), digest)


def _medium(facts: HostFacts, name: str) -> Iterator[WantedFile]:
    place = facts.content.registry.documents.place
    root = EntryKind.MEDIUM.path(facts.content.directory, name)
    record = Record.read(root)
    imported: Mapping[str, str] = record.files if record is not None else {}
    of_loader = urls.medium(place.loader_url_for(facts.base_url), name)
    of_installer = urls.medium(place.url_for(facts.base_url), name)
    yield WantedFile(MEDIUM_SENT, "the kernel", f"{of_loader}/{KERNEL[0]}", _member_digest(root, imported, KERNEL))
    yield WantedFile(MEDIUM_SENT, "the initrd", f"{of_loader}/{INITRD[0]}", _member_digest(root, imported, INITRD))
    yield WantedFile(MEDIUM_SENT, TREEINFO, f"{of_installer}/{TREEINFO}", imported.get(TREEINFO))
    yield WantedFile(MEDIUM_SENT, "the stage 2", f"{of_installer}/{STAGE2[0]}", _member_digest(root, imported, STAGE2))


def _member_digest(root: Path, imported: Mapping[str, str], names: Sequence[str]) -> str | None:
    """Return the digest of the import, which is right if file and record differ; else that of the file."""
    found = next((imported[name] for name in names if name in imported), None)
    return found or next((digest for name in names if (digest := _digest(root / name)) is not None), None)


def _release(facts: HostFacts, name: str) -> Iterator[WantedFile]:
    """Yield what a pull requests first; every object of the release is verified by `netboot doctor --verify`."""
    base = urls.release(facts.content.registry.documents.place.url_for(facts.base_url), name)
    root = EntryKind.RELEASE.path(facts.content.directory, name)
    try:
        ref, commit = read_ref(root, name)
    except (ContentError, OSError):
        return  # the readiness of the host has the reason
    for member in PULLED_FILES:
        is_needed = member not in PULLED_FILES[1:]
        yield WantedFile(RELEASE_SENT, member, f"{base}/{member}", _digest(root / member), not is_needed)
    ref_file = f"refs/heads/{ref}"
    yield WantedFile(RELEASE_SENT, f"the ref {ref}", f"{base}/{ref_file}", _digest(root / ref_file))
    member = object_member(f"{commit}.commit")
    yield WantedFile(RELEASE_SENT, f"the commit {commit[:12]}…", f"{base}/{member}", commit)
    if (root / (delta := delta_member(commit))).is_file() and (root / SUMMARY).is_file():
        yield WantedFile(RELEASE_SENT, "the static delta", f"{base}/{delta}", _digest(root / delta))


def _other_stage2(facts: HostFacts, host: Host, answers: Sequence[tuple[WantedFile, FetchedFile]]) -> WantedFile | None:
    """Return the stage 2 that the served `.treeinfo` names, if it is another file than the usual one."""
    treeinfo = next((answer for file, answer in answers if file.what == TREEINFO and answer.is_whole), None)
    named = stage2_named(treeinfo.head.decode("utf-8", "replace")) if treeinfo is not None else None
    if treeinfo is None or named is None or named in STAGE2 or host.boot_media is None:
        return None
    digest = _digest(EntryKind.MEDIUM.path(facts.content.directory, host.boot_media) / named)
    url = f"{treeinfo.url.removesuffix(TREEINFO)}{named}"
    return WantedFile(MEDIUM_SENT, f"the stage 2 that {TREEINFO} names", url, digest)


def _digest(path: Path) -> str | None:
    try:
        return sha256(path)
    except OSError:
        return None


def _judged(file: WantedFile, answer: FetchedFile) -> DoctorFinding | None:
    if file.is_optional and answer.status == 404:
        return None
    fault, cure = answer.fault, "journalctl -u netboot has the request; netboot check"
    if fault is None and file.sha256 is not None and answer.sha256 != file.sha256:
        fault = "its bytes are not those of the library"
        cure = "netboot content verify, or netboot reload; behind content.url: copy the content there again"
    if fault is None:
        return None
    level = Level.WARNING if file.is_optional else Level.PROBLEM
    evidence = [file.url]
    if answer.status:
        evidence.append(f"status {answer.status}, {answer.size_bytes} bytes, SHA-256 {answer.sha256[:16] or '–'}")
    if file.sha256 is not None:
        evidence.append(f"SHA-256 here {file.sha256[:16]}")
    return DoctorFinding(file.check, level, f"{file.what}: {fault}", tuple(evidence), cure)
