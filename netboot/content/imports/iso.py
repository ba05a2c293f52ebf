"""Imports a boot medium from an installer's ISO: kernel, initrd, stage 2, shim and GRUB. Blocks for seconds.

A medium never changes: importing the same ISO again does nothing; another ISO under the same name is refused.
`.treeinfo` is written if the ISO has none, so that the medium is complete on any web server; the daemon generates one
only for media that were copied in by hand.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.content.library.disk import explaining_import_errors, explaining_write_errors, sha256, tree_size
from netboot.content.library.library import Library, Staging, checked_name
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.content.library.record import Record
from netboot.content.media.boot_media import HEAD_BYTES, STAGE2, TREEINFO, kernel_architecture, made_treeinfo, text_of
from netboot.content.media.installer_files import check_stage2, initrd_modules, kernel_release
from netboot.content.media.iso_image import IsoImage, Volume, read_checksums, read_volume
from netboot.content.media.medium_facts import Clues, MediumFacts, medium_facts
from netboot.content.pe_image import pe_architecture
from netboot.errors import ContentError
from netboot.model.release import EntryKind

_KERNEL: Final = ("images/pxeboot/vmlinuz", "isolinux/vmlinuz")
_INITRD: Final = ("images/pxeboot/initrd.img", "isolinux/initrd.img")
_LOADERS: Final = {
    "x86_64": ("EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi", "EFI/BOOT/mmx64.efi"),
    "aarch64": ("EFI/BOOT/BOOTAA64.EFI", "EFI/BOOT/grubaa64.efi", "EFI/BOOT/mmaa64.efi"),
}
_ALGORITHMS: Final = {"sha256": 64, "sha512": 128}


@dataclass(frozen=True, slots=True)
class ImportedMedium:
    """A medium that is in the library now. `notes` are remarks for the operator."""

    name: str
    is_new: bool
    description: str
    kernel: str
    size_bytes: int
    files: tuple[str, ...]
    notes: tuple[str, ...]
    source_digest: str = ""  # SHA-256 of the ISO


def import_iso(
    library: Library,
    path: Path,
    name: str | None = None,
    *,
    now: datetime,
    checksum: str | None = None,
    progress: Progress = NO_PROGRESS,
) -> ImportedMedium:
    """Bring an ISO's installer into the library as the medium `name`; raise ContentError with the reason.

    `checksum` is the expected checksum of the whole file (`sha256:…`). The default name is release and architecture.
    """
    if name is not None:
        library.check_not_of(EntryKind.RELEASE, name)
    with explaining_import_errors(path):
        algorithm, wanted = _given(checksum) if checksum is not None else ("sha256", None)
        volume = read_volume(path)
        sums = read_checksums(path, volume, progress, *sorted({"sha256", algorithm}))
        if wanted is not None and sums.by_algorithm[algorithm] != wanted:
            raise ContentError(
                f"{path} has the checksum {algorithm}:{sums.by_algorithm[algorithm]}, not the given one; download it "
                "again, or compare with https://linux.oracle.com/security/gpg/checksum/"
            )
        if sums.fits_implanted is False:
            raise ContentError(f"{path} is damaged: the checksum that is implanted in it differs; download it again")
        digest = f"sha256:{sums.by_algorithm['sha256']}"
        with library.changing() as staging, explaining_write_errors(library.directory), IsoImage(path) as image:
            run = _IsoImport(staging, image, volume, progress, now, digest).run
            return run(name, is_verified=sums.fits_implanted is True or checksum is not None)


def _given(checksum: str) -> tuple[str, str]:
    """Parse a checksum; raise ContentError if it is not one."""
    algorithm, _, wanted = checksum.lower().rpartition(":")
    algorithm = algorithm or "sha256"
    if _ALGORITHMS.get(algorithm) != len(wanted) or set(wanted) - set("0123456789abcdef"):
        raise ContentError(f"{checksum!r} is not a checksum; write sha256: and 64 hexadecimal digits")
    return algorithm, wanted


@dataclass(frozen=True, slots=True)
class _IsoImport:
    staging: Staging
    image: IsoImage
    volume: Volume
    progress: Progress
    now: datetime
    digest: str  # of the whole file

    def run(self, name: str | None, *, is_verified: bool) -> ImportedMedium:
        root = self.staging.make("medium")
        members = members_on(self.image, self.volume)
        needed = sum(self.image.size_of(source) or 0 for source in members.values())
        reused_bytes = _reuse(self.staging.take_over(), root, members)
        self.staging.check_space(max(0, needed - reused_bytes), self.image.path.name)
        self.progress.step(f"copying from {self.image.path.name}", needed)
        sums = {member: self.image.copy(source, root / member, self.progress) for member, source in members.items()}
        kernel = kernel_release(root / "vmlinuz")
        facts = medium_facts(self._clues(root, kernel), self.image.path.name)
        self._check(root, members, kernel, facts)
        if TREEINFO not in members and (made := made_treeinfo(root, facts.version)):
            (root / TREEINFO).write_bytes(made)
            (root / TREEINFO).chmod(0o644)
            sums[TREEINFO] = hashlib.sha256(made).hexdigest()
        name = self._name(name, facts)
        is_new = self._is_new(name, sums)
        size_bytes = tree_size(root)
        if is_new:
            record = Record(
                source=self.image.path.resolve().name,
                source_digest=self.digest,
                imported_at=self.now.isoformat(timespec="seconds"),
                description=facts.description,
                kernel=kernel,
                architecture=facts.architecture,
                files=sums,
                size_bytes=size_bytes,
            )
            record.write(root)
            self.staging.publish(root, EntryKind.MEDIUM, name)
        notes = tuple(_notes(members, facts, is_verified=is_verified))
        files = tuple(sorted(sums))
        return ImportedMedium(name, is_new, facts.description, kernel, size_bytes, files, notes, self.digest)

    def _clues(self, root: Path, kernel: str) -> Clues:
        with (root / "vmlinuz").open("rb") as file:
            architecture = kernel_architecture(file.read(HEAD_BYTES)) or ""
        return Clues(
            volume=self.volume.identifier,
            treeinfo=text_of(root / TREEINFO),
            discinfo=text_of(root / ".discinfo"),
            kernel_architecture=architecture,
            kernel_release=kernel,
            has_packages=any(self.image.size_of(each) is not None for each in ("BaseOS/repodata", "repodata")),
        )

    def _check(self, root: Path, members: dict[str, str], kernel: str, facts: MediumFacts) -> None:
        source = self.image.path.name
        try:
            check_stage2(root / "images/install.img")
        except ContentError as error:
            raise ContentError(f"{source}: {error}; download it again") from error
        for loader in set(members) & set(_LOADERS[facts.architecture]):
            found = pe_architecture((root / loader).read_bytes()[:HEAD_BYTES])
            if found != facts.architecture:
                raise ContentError(
                    f"{source}: {loader} is not an EFI program for {facts.architecture}; download it again"
                )
        modules = initrd_modules(root / "initrd.img", kernel) if kernel else frozenset()
        if modules and kernel not in modules:
            raise ContentError(
                f"{source}: kernel and initrd do not belong together: the kernel is {kernel}, the initrd has the "
                f"modules of {', '.join(sorted(modules))}; use both from one ISO"
            )

    def _name(self, name: str | None, facts: MediumFacts) -> str:
        if name is None and facts.default_name is None:
            raise ContentError(
                f"cannot identify the release of {self.image.path.name} (volume {self.volume.identifier!r}); "
                "choose a name: --name"
            )
        return checked_name(name or facts.default_name or "")

    def _is_new(self, name: str, sums: dict[str, str]) -> bool:
        existing = self.staging.library.importable(EntryKind.MEDIUM, name)
        if existing is None:
            return True
        known = existing.record.files if existing.record else _sums_of(existing.path, sums)
        if known != sums:
            differing = min(set(known.items()) ^ set(sums.items()))[0]
            raise ContentError(
                f"boot medium {name} exists already and differs ({differing}); a medium never changes: "
                "choose another name by --name, or remove it first: netboot content remove " + name
            )
        return False


def _reuse(before: list[Path], root: Path, members: Iterable[str]) -> int:
    """Move the members that killed imports had copied to their place; return their size in bytes."""
    for member in members:
        copies = [path / member for path in before]
        # A file with another link is not this import's alone, and may not be written to.
        found = [copy for copy in copies if copy.is_file() and not copy.is_symlink() and copy.stat().st_nlink == 1]
        if found:
            (root / member).parent.mkdir(parents=True, exist_ok=True)
            max(found, key=lambda path: path.stat().st_size).rename(root / member)
    return tree_size(root)


def members_on(image: IsoImage, volume: Volume) -> dict[str, str]:
    """Map the name of each member in the medium to its name on the ISO; raise ContentError if one is missing."""
    places = {"vmlinuz": _KERNEL, "initrd.img": _INITRD, "images/install.img": STAGE2}
    found = {member: next(filter(image.has_file, names), "") for member, names in places.items()}
    missing = [member for member, source in found.items() if not source]
    if missing:
        raise ContentError(
            f"{image.path} ({volume.identifier or 'without a name'}) has no {' and no '.join(missing)}: "
            "it is not an installer medium; use the UEK boot ISO of Oracle Linux 8 or 9"
        )
    architecture = kernel_architecture(image.read(found["vmlinuz"], HEAD_BYTES))
    if architecture is None:
        raise ContentError(f"{image.path}: {found['vmlinuz']} is not a kernel; download the ISO again")
    extra = (*_LOADERS[architecture], TREEINFO, ".discinfo")
    return found | {each: each for each in extra if image.has_file(each)}


def _notes(members: dict[str, str], facts: MediumFacts, *, is_verified: bool) -> list[str]:
    notes = []
    if not facts.is_oracle or not facts.version:
        notes.append("it is not identified as Oracle Linux 8, 9 or 10; it may not be able to install OCK")
    missing = [each for each in _LOADERS[facts.architecture][:2] if each not in members]
    if missing:
        notes.append(f"it has no {' and no '.join(missing)}: machines with Secure Boot cannot start from it")
    if not is_verified:
        notes.append("its download was not verified: it contains no checksum; pass the published one with --checksum")
    return notes


def _sums_of(directory: Path, names: Iterable[str]) -> dict[str, str]:
    """Hash those files of a medium copied in by hand that an import would write."""
    return {name: sha256(directory / name) for name in names if (directory / name).is_file()}
