"""Checks space, inodes and writability of the file systems that hold store, records and content."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.model.words import shown_size

_CHECK: Final = "box.disks"
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept in a directory: below `least` it stops, below `little` is a warning. Inodes likewise."""

    what: str
    directory: Path
    level: Level  # if nothing more can be written
    effect: str
    least_bytes: int
    little_bytes: int
    little_inodes: int


def check_disks(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report each file system that is full, nearly full, out of inodes or read-only."""
    for kept in _kept(given):
        nearest = next(each for each in (kept.directory, *kept.directory.parents) if each.exists())
        space = os.statvfs(nearest)
        mounted = _mount_point(nearest)
        evidence = (
            f"{mounted}: {shown_size(space.f_bavail * space.f_frsize)} of {shown_size(space.f_blocks * space.f_frsize)}"
            f" free, {space.f_favail} of {space.f_files} inodes free",
        )
        if space.f_flag & os.ST_RDONLY:
            yield DoctorFinding(
                _CHECK,
                kept.level,
                f"{nearest} ({kept.what}) is on a read-only file system: {kept.effect}",
                (f"{mounted} is mounted read-only",),
                f"mount -o remount,rw {mounted}; if it became read-only by itself, read dmesg: the disk has errors",
            )
            continue
        yield from _space(kept, nearest, space, evidence)


def _space(
    kept: _Kept, directory: Path, space: os.statvfs_result, evidence: tuple[str, ...]
) -> Iterator[DoctorFinding]:
    free_bytes = space.f_bavail * space.f_frsize
    cure = f"free some space: df -h {directory}; netboot content gc; du -xsh {directory}/*"
    if free_bytes < kept.little_bytes:
        is_full = free_bytes < kept.least_bytes
        level = kept.level if is_full else Level.WARNING
        effect = kept.effect if is_full else f"if it is full: {kept.effect}"
        sentence = f"{directory} ({kept.what}) has {shown_size(free_bytes)} of free space: {effect}"
        yield DoctorFinding(_CHECK, level, sentence, evidence, cure)
    if space.f_files and space.f_favail < kept.little_inodes:  # btrfs has no limit and reports 0
        level = kept.level if space.f_favail == 0 else Level.WARNING
        sentence = (
            f"{directory} ({kept.what}) has {space.f_favail} free inodes: no more files can be made, {kept.effect}"
        )
        yield DoctorFinding(
            _CHECK, level, sentence, evidence, "delete small files, or use a file system with more inodes"
        )


def _kept(given: BoxInputs) -> Iterator[_Kept]:
    settings = given.settings
    store = make_url(settings.store.url)
    if store.get_backend_name() == "sqlite" and store.database:
        effect = "no boot and no install can be recorded, and machines wait"
        directory = Path(store.database).absolute().parent
        yield _Kept("the store", directory, Level.PROBLEM, effect, 32 * _MIB, 256 * _MIB, 100)
    effect = "logs and captures of boots are not kept"
    yield _Kept(
        "records of boots", settings.records.directory.absolute(), Level.WARNING, effect, 32 * _MIB, 256 * _MIB, 1000
    )
    effect = "no medium and no release can be imported"
    yield _Kept("content", settings.content.directory.absolute(), Level.WARNING, effect, 64 * _MIB, 1024 * _MIB, 50_000)


def _mount_point(path: Path) -> Path:
    """Return where the file system of a path is mounted."""
    resolved = path.resolve()
    return next(each for each in (resolved, *resolved.parents) if each.is_mount() or each == each.parent)
