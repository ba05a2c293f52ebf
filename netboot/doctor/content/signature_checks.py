"""Checks of what loaders are signed with: Secure Boot, the certificates of machines, and shim's second stage.

A signature matters to machines with Secure Boot only, which an inspection finds; a file that is signed must be signed
soundly for all of them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from netboot.boot.firmware.requested_names import find_loader, second_stage
from netboot.content.bootfiles.loader_packages import SIGNED_LOADERS
from netboot.content.pe_signatures import SbatLevels, is_trusted, sbat_generations, sbat_levels, vendor_certificates
from netboot.doctor.content.content_facts import ContentFacts
from netboot.doctor.content.known_machines import KnownMachine
from netboot.doctor.content.loader_file import LoaderFile, LoaderFormat, read_loader
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.model.boot.boot_client import Cpu

SIGNATURES: Final = "content.signatures"
SECURE_BOOT: Final = "content.secure_boot"
CERTIFICATES: Final = "content.certificates"
SECOND_STAGE: Final = "content.second_stage"
UEFI_CA_2011: Final = "Microsoft Corporation UEFI CA 2011"
UEFI_CA_2023: Final = "Microsoft UEFI CA 2023"
_MICROSOFT: Final = (UEFI_CA_2011, UEFI_CA_2023)
_SIGNED_PAIR: Final = "a shim that Microsoft signed and the GRUB of its distribution"


def check_signatures(loaders: Mapping[str, LoaderFile]) -> Iterator[DoctorFinding]:
    """Find signatures that firmware refuses: of test keys, of other content, unreadable."""
    for name in sorted(loaders):
        loader = loaders[name]
        image = loader.image
        if image is None or loader.fault is not None or not image.signatures:
            continue
        evidence = signers_text(loader)
        if loader.test_signers:
            whose = " and ".join(each.name for each in loader.test_signers)
            sentence = f"{name} is signed with a test key ({whose}), which no machine with Secure Boot trusts"
            cure = f"take {_signed_pair(image.cpu)}; a test key must not be enrolled, its private half is public"
            yield DoctorFinding(SIGNATURES, Level.WARNING, sentence, evidence, cure)
        if changed := [each for each in loader.signers if not each.is_of_this_content]:
            sentence = f"{name} was changed after {changed[0].name} signed it, so Secure Boot refuses it"
            yield DoctorFinding(SIGNATURES, Level.WARNING, sentence, evidence, "copy it again from its package")
        if len(loader.signers) < len(image.signatures):
            count = len(image.signatures) - len(loader.signers)
            sentence = f"{name} has {count} of {len(image.signatures)} signatures that cannot be read"
            yield DoctorFinding(SIGNATURES, Level.WARNING, sentence, evidence, "copy it again from its package")


def check_secure_boot(facts: ContentFacts) -> Iterator[DoctorFinding]:
    """Find machines with Secure Boot that are offered a loader that Microsoft did not sign."""
    refused: dict[str, list[KnownMachine]] = {}
    for machine in facts.known_machines:
        name = machine.loader(facts.registry.policy)
        if machine.secure_boot and isinstance(name, str):
            refused.setdefault(name, []).append(machine)
    for name, machines in refused.items():
        file = find_loader(facts.registry.boot_files, name)
        loader = read_loader(file) if file is not None else None
        if loader is None or loader.format is not LoaderFormat.UEFI or is_signed_by_microsoft(loader):
            continue
        host = next((each.host.name for each in machines if each.host is not None), "NAME")
        shown = ", ".join(map(str, machines[:10]))
        sentence = f"{shown} boot with Secure Boot and are offered {name}, which {_unsigned(loader)}"
        cpu = loader.image.cpu if loader.image is not None else None
        cure = f"set hosts.{host}.loader to a shim: {_signed_pair(cpu)}; or switch Secure Boot off"
        level = Level.PROBLEM if any(each.host for each in machines) else Level.WARNING
        yield DoctorFinding(SECURE_BOOT, level, sentence, signers_text(loader), cure)


def check_certificates(
    facts: ContentFacts, loaders: Mapping[str, LoaderFile], offered: Collection[str]
) -> Iterator[DoctorFinding]:
    """Find offered loaders of only one of Microsoft's two certificates: some machines carry only the other."""
    for name in sorted(offered):
        file = find_loader(facts.registry.boot_files, name)
        loader = loaders.get(file.name) if file is not None else None
        issuers = {each.issuer for each in loader.signers if each.issuer in _MICROSOFT} if loader else set()
        if loader is None or len(issuers) != 1 or loader.fault is not None:
            continue
        if UEFI_CA_2011 in issuers:
            sentence = (
                f"{name} is signed under {UEFI_CA_2011} only; machines that were built with the one of 2023 alone"
            )
            cure = (
                "install a newer shim: those of Debian 12 and of Oracle Linux 8 to 10 are signed twice since June 2026"
            )
        else:
            sentence = f"{name} is signed under {UEFI_CA_2023} only; machines whose firmware has only the one of 2011"
            cure = "update the firmware's db (Microsoft UEFI CA 2023), or take a shim that is signed under both"
        sentence += " refuse it while Secure Boot is on"
        yield DoctorFinding(CERTIFICATES, Level.WARNING, sentence, signers_text(loader), cure)


def check_second_stage(
    facts: ContentFacts, loaders: Mapping[str, LoaderFile], offered: Collection[str]
) -> Iterator[DoctorFinding]:
    """Find offered shims whose second file is missing, or that refuse it."""
    for name in sorted(offered):
        wanted = second_stage(name)
        file = find_loader(facts.registry.boot_files, name)
        shim = loaders.get(file.name) if file is not None else None
        if wanted is None or shim is None or shim.image is None or shim.fault is not None:
            continue
        second_file = find_loader(facts.registry.boot_files, wanted)
        if second_file is None:
            sentence = f"{name} requests {wanted} beside itself, and there is none"
            cure = f"put {wanted} into a directory of bootfiles.directories: {_signed_pair(shim.image.cpu)}"
            yield DoctorFinding(SECOND_STAGE, Level.PROBLEM, sentence, (str(shim.file.path),), cure)
            continue
        second = loaders.get(second_file.name) or read_loader(second_file)
        for what, cure in _refusals(shim, second):
            evidence = (*signers_text(shim), *signers_text(second), *_vendors(shim))
            sentence = f"{name} starts {second.name}, and with Secure Boot refuses it: {what}"
            yield DoctorFinding(SECOND_STAGE, _level(facts, name), sentence, evidence, cure)


def _refusals(shim: LoaderFile, second: LoaderFile) -> Iterator[tuple[str, str]]:
    """Yield why a shim refuses its second stage when Secure Boot is on, each with its cure."""
    if shim.image is None or second.image is None or second.fault is not None:
        return  # `content.loader_files` reports it
    pair = f"take {_signed_pair(shim.image.cpu)}, both from one distribution"
    if second.image.cpu is not shim.image.cpu:
        yield f"it is built for {second.image.cpu}, and the shim for {shim.image.cpu}", pair
        return
    if not second.signers:
        yield "it is not signed (shim prints: Verification failed: (0x1A) Security Violation)", pair
        return
    authorities = vendor_certificates(shim.image)
    if not is_signed_by_microsoft(second) and not any(is_trusted(each, authorities) for each in second.signers):
        yield f"the shim does not trust {second.signers[0]}", pair
    generations = sbat_generations(second.image)
    if not generations:
        yield "it has no SBAT section, which shim 15.3 and later demand", "install a newer GRUB"
    elif (levels := sbat_levels(shim.image)) is not None and (old := _revoked(generations, levels)):
        yield f"its SBAT generation is revoked by this shim: {', '.join(old)}", "install a newer GRUB"


def _revoked(generations: Mapping[str, int], levels: SbatLevels) -> list[str]:
    return [
        f"{component} {generations[component]}, at least {least} is needed"
        for component, least in levels.automatic.items()
        if component in generations and generations[component] < least
    ]


def is_signed_by_microsoft(loader: LoaderFile) -> bool:
    """Return whether machines as they are sold start it with Secure Boot."""
    return any(each.issuer in _MICROSOFT and each.is_of_this_content for each in loader.signers)


def signers_text(loader: LoaderFile) -> tuple[str, ...]:
    """Return a line for each signature of a file, with its SBAT generation."""
    if loader.image is None:
        return ()
    generations = sbat_generations(loader.image)
    sbat = f"; SBAT {', '.join(f'{name} {number}' for name, number in generations.items())}" if generations else ""
    if not loader.signers:
        return (f"{loader.file.path}: not signed{sbat}",)
    return tuple(f"{loader.file.path}: signed by {signer}{sbat}" for signer in loader.signers)


def _vendors(shim: LoaderFile) -> Sequence[str]:
    found = vendor_certificates(shim.image) if shim.image is not None else ()
    names = ", ".join(each.subject.rfc4514_string() for each in found)
    return (f"the shim trusts {names}",) if names else ("the shim has no certificate of its vendor",)


def _unsigned(loader: LoaderFile) -> str:
    if not loader.signers:
        return "is not signed: the firmware prints a security violation (Access Denied) and boots its next entry"
    if loader.test_signers:
        return f"is signed with a test key ({loader.test_signers[0].name})"
    return f"is signed by {loader.signers[0]}, whom firmware trusts only where that certificate was enrolled"


def _signed_pair(cpu: Cpu | None) -> str:
    packages = SIGNED_LOADERS.get(cpu) if cpu is not None else None
    return f"{_SIGNED_PAIR}, of {packages}" if packages is not None else _SIGNED_PAIR


def _level(facts: ContentFacts, name: str) -> Level:
    """A fault that Secure Boot alone shows stops a known machine, or some machines."""
    policy = facts.registry.policy
    stopped = any(each.secure_boot and each.loader(policy) == name for each in facts.known_machines)
    return Level.PROBLEM if stopped else Level.WARNING
