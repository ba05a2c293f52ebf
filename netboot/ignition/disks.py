"""Verifies the disks, arrays, file systems and encrypted volumes of a configuration.

Sources: coreos/ignition v2.16.2, `types/{disk,partition,raid,filesystem,luks,clevis,tang}.go`.
"""

import json
import re
from operator import itemgetter
from typing import Final

from netboot.ignition.node_checks import path_fault
from netboot.ignition.problem import Problems
from netboot.ignition.schema import Json, entries
from netboot.yamlfile.faults import shown

_GUID: Final = re.compile(r"(|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})")
_LABEL_LIMITS: Final = {"ext4": 16, "btrfs": 256, "xfs": 12, "swap": 15, "vfat": 11, "none": 2**31}
_WITHOUT_SPARES: Final = frozenset({"linear", "raid0", "0", "stripe"})
_WITH_SPARES: Final = frozenset({"raid1", "1", "mirror", "raid4", "4", "raid5", "5", "raid6", "6", "raid10", "10"})


def verify_disks(config: Json, problems: Problems, *, minor: int) -> None:
    """Add the problems of storage.disks, raid, filesystems and luks of specification 3.`minor`."""
    for disk, pointer in entries(config, "storage/disks"):
        _verify_device(disk.get("device", ""), f"{pointer}/device", problems)
        _verify_partitions(disk, pointer, problems)
    for array, pointer in entries(config, "storage/raid"):
        _verify_raid(array, pointer, problems)
    for filesystem, pointer in entries(config, "storage/filesystems"):
        _verify_device(filesystem.get("device", ""), f"{pointer}/device", problems)
        _verify_filesystem(filesystem, pointer, problems=problems, minor=minor)
    for volume, pointer in entries(config, "storage/luks"):
        _verify_luks(volume, pointer, problems)


def _verify_device(device: str, pointer: str, problems: Problems) -> None:
    if fault := path_fault(device):
        problems.add(pointer, f"{shown(device)} {fault}", cure="write the device's full path")


def _verify_partitions(disk: Json, pointer: str, problems: Problems) -> None:
    numbers: dict[int, str] = {}
    labels: dict[str, str] = {}
    for partition, place in entries(disk, "partitions", pointer):
        number, label = partition.get("number", 0), partition.get("label")
        if number and numbers.setdefault(number, place) != place:
            problems.add(f"{place}/number", f"{number} is another partition's", cure="number each once")
        if label is not None and labels.setdefault(label, place) != place:
            problems.add(f"{place}/label", f"{shown(label)} is another partition's", cure="label each once")
        if not number and label is None:
            problems.add(place, "has neither number nor label", cure="add one of them")
        if label is not None and (len(label.encode("utf-8", "replace")) > 36 or ":" in label):
            problems.add(f"{place}/label", "is longer than 36 bytes or has a colon", cure="shorten it")
        for name in ("guid", "typeGuid"):
            if not _GUID.fullmatch(partition.get(name, "")):
                problems.add(f"{place}/{name}", "is not a GUID", cure="write 01234567-89AB-CDEF-EDCB-A98765432101")
        others = partition.keys() & {"label", "startMiB", "sizeMiB"} or any(map(partition.get, ("guid", "typeGuid")))
        if partition.get("shouldExist") is False and others:
            problems.add(place, "should not exist, and has more than a number", cure="keep the number alone")
    partitions = disk.get("partitions", [])
    removed = any(partition.get("shouldExist") is False for partition in partitions)
    if removed and not all(partition.get("number") for partition in partitions):
        problems.add(f"{pointer}/partitions", "removes one and leaves a number open", cure="number all of them")
    _verify_extents(disk, pointer, problems)


def _verify_extents(disk: Json, pointer: str, problems: Problems) -> None:
    extents = [
        (start, start + max(size - 1, 0), place)
        for partition, place in entries(disk, "partitions", pointer)
        if (start := partition.get("startMiB")) and (size := partition.get("sizeMiB")) is not None
    ]
    furthest = -1
    for start, end, place in sorted(extents, key=itemgetter(0, 1)):
        if start <= furthest:
            problems.add(place, "overlaps another partition", cure="correct startMiB or sizeMiB")
        furthest = max(furthest, end)


def _verify_raid(array: Json, pointer: str, problems: Problems) -> None:
    level = array.get("level", "")
    if level not in _WITHOUT_SPARES | _WITH_SPARES:
        problems.add(f"{pointer}/level", f"{shown(level)} is not a RAID level", cure="write raid1 or another level")
    if level in _WITHOUT_SPARES and array.get("spares"):
        problems.add(f"{pointer}/spares", f"are not possible with {level}", cure="remove them")
    if not array.get("devices"):
        problems.add(f"{pointer}/devices", "are missing", cure="name the devices")
    for index, device in enumerate(array.get("devices", [])):
        _verify_device(device, f"{pointer}/devices/{index}", problems)


def _verify_filesystem(filesystem: Json, pointer: str, *, problems: Problems, minor: int) -> None:
    kind, label = filesystem.get("format", ""), filesystem.get("label", "")
    limits = _LABEL_LIMITS if minor >= 3 else {name: limit for name, limit in _LABEL_LIMITS.items() if name != "none"}
    others = ("path", "label", "uuid", "wipeFilesystem", "options", "mountOptions")
    if not kind and any(filesystem.get(name) for name in others):
        problems.add(f"{pointer}/format", "is missing", cure=f"write one of {', '.join(limits)}")
    elif kind and kind not in limits:
        problems.add(f"{pointer}/format", f"{shown(kind)} is not supported", cure=f"write one of {', '.join(limits)}")
    elif kind and len(label.encode("utf-8", "replace")) > limits[kind]:
        problems.add(f"{pointer}/label", f"is longer than {limits[kind]} bytes, which {kind} takes", cure="shorten it")
    path = filesystem.get("path", "")
    if path and (fault := path_fault(path)):
        problems.add(f"{pointer}/path", f"{shown(path)} {fault}", cure="write a full, simplified path")


def _verify_luks(volume: Json, pointer: str, problems: Problems) -> None:
    _verify_device(volume.get("device", ""), f"{pointer}/device", problems)
    if "/" in volume.get("name", ""):
        problems.add(f"{pointer}/name", "has a slash", cure="write a name, not a path")
    if len(volume.get("label", "").encode("utf-8", "replace")) > 47:
        problems.add(f"{pointer}/label", "is longer than 47 bytes", cure="shorten it")
    clevis = volume.get("clevis", {})
    custom = clevis.get("custom", {})
    if any(custom.values()):
        if custom.get("pin") not in ("tpm2", "tang", "sss"):
            problems.add(f"{pointer}/clevis/custom/pin", "is missing or unknown", cure="write tpm2, tang or sss")
        if not custom.get("config"):
            problems.add(f"{pointer}/clevis/custom/config", "is missing", cure="write it")
        if any(clevis.get(name) for name in ("tang", "tpm2", "threshold")):
            problems.add(f"{pointer}/clevis", "has custom beside tang, tpm2 or threshold", cure="keep one of them")
    for tang, place in entries(volume, "clevis/tang", pointer):
        _verify_tang(tang, place, problems)


def _verify_tang(tang: Json, pointer: str, problems: Problems) -> None:
    if not tang.get("url", "").lower().startswith(("http:", "https:")):
        problems.add(f"{pointer}/url", "is not an http or https URL", cure="correct it")
    if not tang.get("thumbprint"):
        problems.add(f"{pointer}/thumbprint", "is missing", cure="write it")
    try:
        json.loads(tang.get("advertisement") or "{}")
    except (ValueError, RecursionError):
        problems.add(f"{pointer}/advertisement", "is not JSON", cure="write what the Tang server advertises")
