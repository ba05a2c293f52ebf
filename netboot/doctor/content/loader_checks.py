"""Checks of the boot loaders as files: present for each architecture, what their names say, and what iPXE lacks."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from netboot.boot.firmware.requested_names import cpu_meant, document_named, find_loader
from netboot.content.bootfiles.directories import BootFile, BootFiles
from netboot.content.bootfiles.loader_packages import packages_of
from netboot.doctor.content.content_facts import ContentFacts
from netboot.doctor.content.loader_file import LoaderFile, LoaderFormat, read_loader
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Cpu, Stage, arch_name
from netboot.model.boot.offer import DocumentKind, IgnoreReason
from netboot.model.host.mac import Mac
from netboot.operate.readiness import missing_uefi_loader

LOADERS: Final = "content.loaders"
LOADER_FILES: Final = "content.loader_files"
IPXE: Final = "content.ipxe"
SHADOWED: Final = "content.shadowed_names"
MOST_EXAMINED: Final = 400
_ANY_MAC: Final = Mac.parse("00:00:5e:00:53:01")  # RFC 7042 §2.1.2: reserved for documentation, of no card
_LOADER_SUFFIXES: Final = (".kpxe", ".kkpxe", ".pxe")
# What a rack may boot by, before its machines were seen; ia32 boots no installer of Oracle Linux.
_USUAL: Final = {
    "BIOS": (BootProtocol.PXE, Arch.X86_BIOS),
    "x64 UEFI": (BootProtocol.PXE, Arch.X64_UEFI),
    "arm64 UEFI": (BootProtocol.PXE, Arch.ARM64_UEFI),
}


def offered_names(facts: ContentFacts) -> frozenset[str]:
    """Name every loader that some machine is offered first, or that settings or hosts name."""
    policy = facts.registry.policy
    learned = (machine.loader(policy) for machine in facts.known_machines)
    declared = [*(rule.loader for rule in policy.declared_rules), *policy.cpus, *policy.unusable]
    return frozenset({*policy.loaders.values(), *declared, *(each for each in learned if isinstance(each, str))})


def read_loaders(files: BootFiles, offered: Collection[str]) -> Mapping[str, LoaderFile]:
    """Read every boot file that is a loader by its name, and every offered one, by the name of the file."""
    named = [file for name in sorted(offered) if (file := find_loader(files, name)) is not None]
    chosen = {file.name: file for file in (*named, *filter(_is_loader_by_name, files))}
    return {name: read_loader(file) for name, file in list(chosen.items())[:MOST_EXAMINED]}


def _is_loader_by_name(file: BootFile) -> bool:
    name = file.name.lower()
    return ".efi" in name.rpartition("/")[2] or name.endswith(_LOADER_SUFFIXES)


def check_loaders(facts: ContentFacts) -> Iterator[DoctorFinding]:
    """Find architectures without a loader: those of machines that were seen, and the usual ones."""
    registry = facts.registry
    missing = _machines_without_loader(facts)
    for reason in missing_uefi_loader(registry.policy, registry.boot_files):
        what, _, cure = reason.partition("; ")
        of_uefi = [missing.pop((BootProtocol.PXE, arch), []) for arch in (Arch.X64_UEFI, Arch.ARM64_UEFI)]
        seen = [name for names in of_uefi for name in names]
        evidence = ("OCK starts by UEFI only", *([_seen(seen)] if seen else []), *packages_of(Cpu.X64))
        yield DoctorFinding(LOADERS, Level.PROBLEM, what, evidence, cure)
    for (protocol, arch), machines in missing.items():
        what, cure = registry.boot_files.missing_loader(protocol, arch) or (f"no loader for {arch_name(arch)}", "")
        evidence = (_seen(machines), *_packages(arch))
        yield DoctorFinding(LOADERS, Level.PROBLEM, what, evidence, cure or "netboot reload")
    yield from _unknown_yet(facts, {arch for _, arch in missing})


def _machines_without_loader(facts: ContentFacts) -> dict[tuple[BootProtocol, int], list[str]]:
    """Name the machines that were seen and for which there is no loader, by protocol and architecture."""
    missing: dict[tuple[BootProtocol, int], list[str]] = {}
    for machine in facts.known_machines:
        without = machine.loader(facts.registry.policy)
        client = machine.client
        if client is not None and without in (IgnoreReason.NO_LOADER_FOR_ARCH, IgnoreReason.UNKNOWN_ARCHITECTURE):
            missing.setdefault((client.protocol, client.arch), []).append(str(machine))
    return missing


def _seen(machines: Sequence[str]) -> str:
    return f"seen with it: {', '.join(machines[:10])}"


def _unknown_yet(facts: ContentFacts, named: set[int]) -> Iterator[DoctorFinding]:
    """Note the usual architectures that no machine that was seen has, and that have no loader."""
    if missing_uefi_loader(facts.registry.policy, facts.registry.boot_files):
        return
    without = {
        title: arch
        for title, (protocol, arch) in _USUAL.items()
        if arch not in named
        and not facts.registry.policy.loaders_for(BootClient(_ANY_MAC, arch, protocol, Stage.FIRMWARE))
    }
    if without:
        evidence = tuple(f"{title}: {'; '.join(_packages(arch))}" for title, arch in without.items())
        sentence = f"there is no boot loader for {' and '.join(without)}; no machine that was seen needs one"
        yield DoctorFinding(LOADERS, Level.NOTE, sentence, evidence, "install one before such a machine boots")


def _packages(arch: int) -> tuple[str, ...]:
    cpu = BootClient(_ANY_MAC, arch, BootProtocol.PXE, Stage.FIRMWARE).cpu
    return packages_of(cpu) if cpu is not None else ()


def check_loader_files(
    facts: ContentFacts, loaders: Mapping[str, LoaderFile], offered_names: Collection[str]
) -> Iterator[DoctorFinding]:
    """Find loaders that are not what their names say: truncated, web pages, of another CPU, no loaders at all."""
    offered = _files_of(facts, offered_names)
    preferred = {name for names in facts.registry.policy.others.values() for name in names}
    for name, loader in loaders.items():
        what, cure = loader.fault, "download or copy it again whole, then compare its checksum"
        meant = cpu_meant(name)
        built_for = Cpu.X86_BIOS if loader.format is LoaderFormat.BIOS else loader.image and loader.image.cpu
        if what is None and meant is not None and built_for is not meant:
            what = f"it is built for {built_for or 'no known CPU'}, and its name says {meant}"
            cure = f"put one for {meant} there, or give it a name that fits"
        if what is not None:
            level = Level.PROBLEM if name in offered else Level.WARNING
            evidence = (f"{loader.file.path}, {loader.file.size_bytes} bytes", *_use_of(name, offered, preferred))
            yield DoctorFinding(LOADER_FILES, level, f"{name}: {what}", evidence, cure)


def _files_of(facts: ContentFacts, offered: Collection[str]) -> frozenset[str]:
    files = facts.registry.boot_files
    found = (find_loader(files, name) for name in offered)
    return frozenset(file.name for file in found if file is not None)


def _use_of(name: str, offered: frozenset[str], preferred: set[str]) -> Sequence[str]:
    if name in offered:
        return ("machines are offered it",)
    return ("machines are offered it where the first one fails",) if name in preferred else ()


def check_ipxe(
    facts: ContentFacts, loaders: Mapping[str, LoaderFile], offered: Collection[str]
) -> Iterator[DoctorFinding]:
    """Find offered builds of iPXE that cannot fetch a script, or that send no log although logs are received."""
    for name in sorted(_files_of(facts, offered) & loaders.keys()):
        build = loaders[name].ipxe
        if build is None:
            continue
        evidence = (f"iPXE {build.version}" if build.version else "an iPXE without a version",)
        if not build.has_http:
            sentence = f"{name} is an iPXE without HTTP, so it cannot fetch its script"
            cure = "take a build with DOWNLOAD_PROTO_HTTP, as those of the distributions"
            yield DoctorFinding(IPXE, Level.PROBLEM, sentence, evidence, cure)
        elif facts.receives_logs and not build.has_syslog:
            sentence = f"{name} is an iPXE without the syslog console, so its messages are missing in machines' logs"
            cure = "take iPXE 2.0.0 or later, or a build with CONSOLE_SYSLOG; nothing else depends on it"
            yield DoctorFinding(IPXE, Level.NOTE, sentence, evidence, cure)


def check_shadowed_names(facts: ContentFacts) -> Iterator[DoctorFinding]:
    """Find boot files that have the name of a document: they are never sent, the document is."""
    for file in facts.registry.boot_files:
        document = document_named(file.name)
        if document is None:
            continue
        kind, _ = document
        what = "leads iPXE to the machine's script" if kind is DocumentKind.IPXE_AUTOEXEC else "is the machine's script"
        sentence = (
            f"{file.name} is never sent: a machine that requests this name gets what netboot renders, which {what}"
        )
        cure = "change netboot's template (render.templates) instead of this file, and remove the file"
        yield DoctorFinding(SHADOWED, Level.WARNING, sentence, (str(file.path),), cure)
