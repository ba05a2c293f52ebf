"""Examines the content: loaders, signatures, media, releases and Ignition files. Reads files only."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from netboot.content.library.library import Library
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.doctor.content import image_checks, library_checks, loader_checks, role_file_checks, signature_checks
from netboot.doctor.content.content_facts import ContentFacts
from netboot.doctor.doctor_finding import Area, AreaReport, DoctorFinding
from netboot.errors import NO_RIGHT, ContentError

Check = tuple[str, Callable[[], Iterator[DoctorFinding]]]

CHECKS: Final = (
    loader_checks.LOADERS,
    loader_checks.LOADER_FILES,
    loader_checks.IPXE,
    loader_checks.SHADOWED,
    signature_checks.SIGNATURES,
    signature_checks.SECURE_BOOT,
    signature_checks.CERTIFICATES,
    signature_checks.SECOND_STAGE,
    library_checks.HOST_CONTENT,
    library_checks.MEDIA,
    library_checks.RELEASES,
    library_checks.UNFINISHED,
    library_checks.UNUSED,
    image_checks.IMAGES,
    library_checks.DIGESTS,
    role_file_checks.ROLE_FILES,
)


async def examine_content(
    facts: ContentFacts, *, verifies: bool = False, progress: Progress = NO_PROGRESS
) -> AreaReport:
    """Run the checks in a thread; `verifies`: read every byte of media, releases and images, which takes minutes."""
    return await asyncio.to_thread(_examine, facts, verifies=verifies, progress=progress)


def _examine(facts: ContentFacts, *, verifies: bool, progress: Progress) -> AreaReport:
    findings: list[DoctorFinding] = []
    not_checked: dict[str, str] = {}
    if not verifies:
        not_checked[library_checks.DIGESTS] = "netboot doctor --area content --verify reads every byte"
    if facts.machines is None:
        not_checked[signature_checks.SECURE_BOOT] = facts.machines_unknown
    for check, run in _checks(facts, verifies=verifies, progress=progress):
        try:
            findings += run()
        except ContentError as error:
            not_checked[check] = str(error)
        except OSError as error:
            not_checked[check] = f"{error.filename or facts.directory}: {error.strerror}; {NO_RIGHT}"
    ran = tuple(check for check in CHECKS if check not in not_checked)
    return AreaReport(Area.CONTENT, tuple(findings), ran, not_checked)


def _checks(facts: ContentFacts, *, verifies: bool, progress: Progress) -> Sequence[Check]:
    offered = loader_checks.offered_names(facts)
    loaders = loader_checks.read_loaders(facts.registry.boot_files, offered)
    library = Library(facts.directory)
    checks: list[Check] = [
        (loader_checks.LOADERS, lambda: loader_checks.check_loaders(facts)),
        (loader_checks.LOADER_FILES, lambda: loader_checks.check_loader_files(facts, loaders, offered)),
        (loader_checks.IPXE, lambda: loader_checks.check_ipxe(facts, loaders, offered)),
        (loader_checks.SHADOWED, lambda: loader_checks.check_shadowed_names(facts)),
        (signature_checks.SIGNATURES, lambda: signature_checks.check_signatures(loaders)),
        (signature_checks.CERTIFICATES, lambda: signature_checks.check_certificates(facts, loaders, offered)),
        (signature_checks.SECOND_STAGE, lambda: signature_checks.check_second_stage(facts, loaders, offered)),
        (library_checks.HOST_CONTENT, lambda: library_checks.check_host_content(facts)),
        (library_checks.MEDIA, lambda: library_checks.check_media(facts, library.entries())),
        (library_checks.RELEASES, lambda: library_checks.check_releases(facts, library.entries())),
        (image_checks.IMAGES, lambda: image_checks.check_images(facts)),
        (library_checks.UNFINISHED, lambda: library_checks.check_unfinished(facts.directory, facts.now)),
        (library_checks.UNUSED, lambda: library_checks.check_unused(facts, library.entries())),
        (role_file_checks.ROLE_FILES, lambda: role_file_checks.check_role_files(facts.registry.hosts, facts.now)),
    ]
    if facts.machines is not None:
        checks.append((signature_checks.SECURE_BOOT, lambda: signature_checks.check_secure_boot(facts)))
    if verifies:
        checks.append((library_checks.DIGESTS, lambda: library_checks.check_digests(facts, progress)))
    return checks
