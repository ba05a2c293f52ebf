"""Faulty disks, arrays, file systems and encrypted volumes, each with the program that refuses it and our reason."""

from typing import Any

from ignition.faulty import Faulty, Judge, document

V, L = Judge.VALIDATE, Judge.LATER


def partitions(*entries: dict[str, Any]) -> bytes:
    return document(storage={"disks": [{"device": "/dev/sda", "partitions": list(entries)}]})


def filesystem(**fields: Any) -> bytes:
    return document(storage={"filesystems": [{"device": "/dev/sda1", **fields}]})


def luks(version: str = "3.4.0", **fields: Any) -> bytes:
    return document(version, storage={"luks": [{"name": "data", "device": "/dev/sda2", **fields}]})


def raid(**fields: Any) -> bytes:
    return document(
        storage={"raid": [{"name": "md0", "level": "raid1", "devices": ["/dev/sda", "/dev/sdb"], **fields}]}
    )


PARTITION = "/storage/disks/0/partitions/0"
TANG = {"url": "http://192.0.2.1", "thumbprint": "x"}
FORMATS = "write one of ext4, btrfs, xfs, swap, vfat, none"

FAULTY_DISKS = {
    "disk-without-device": Faulty(
        V, document(storage={"disks": [{}]}),
        "/storage/disks/0/device: '' is not a path; write the device's full path",
    ),
    "partitions-with-one-number": Faulty(
        V, partitions({"number": 1}, {"number": 1}),
        "/storage/disks/0/partitions/1/number: 1 is another partition's; number each once",
    ),
    "partitions-with-one-label": Faulty(
        V, partitions({"label": "a"}, {"label": "a"}),
        "/storage/disks/0/partitions/1/label: 'a' is another partition's; label each once",
    ),
    "partition-without-number-and-label": Faulty(
        V, partitions({"sizeMiB": 1}), f"{PARTITION}: has neither number nor label; add one of them"
    ),
    "partition-with-a-long-label": Faulty(
        V, partitions({"label": "a" * 37}),
        f"{PARTITION}/label: is longer than 36 bytes or has a colon; shorten it",
    ),
    "partition-with-a-colon-in-its-label": Faulty(
        V, partitions({"label": "a:b"}), f"{PARTITION}/label: is longer than 36 bytes or has a colon; shorten it"
    ),
    "partition-with-a-false-guid": Faulty(
        V, partitions({"number": 1, "typeGuid": "linux"}),
        f"{PARTITION}/typeGuid: is not a GUID; write 01234567-89AB-CDEF-EDCB-A98765432101",
    ),
    "removed-partition-with-a-size": Faulty(
        V, partitions({"number": 1, "shouldExist": False, "sizeMiB": 1}),
        f"{PARTITION}: should not exist, and has more than a number; keep the number alone",
    ),
    "removed-partition-beside-one-without-number": Faulty(
        V, partitions({"number": 1, "shouldExist": False}, {"label": "a"}),
        "/storage/disks/0/partitions: removes one and leaves a number open; number all of them",
    ),
    "partitions-that-overlap": Faulty(
        V, partitions({"number": 1, "startMiB": 1, "sizeMiB": 10}, {"number": 2, "startMiB": 10, "sizeMiB": 10}),
        "/storage/disks/0/partitions/1: overlaps another partition; correct startMiB or sizeMiB",
    ),
    "raid-without-devices": Faulty(V, raid(devices=[]), "/storage/raid/0/devices: are missing; name the devices"),
    "raid-with-a-relative-device": Faulty(
        V, raid(devices=["sda"]),
        "/storage/raid/0/devices/0: 'sda' is not absolute; write the device's full path",
    ),
    "unknown-raid-level": Faulty(
        V, raid(level="raid7"), "/storage/raid/0/level: 'raid7' is not a RAID level; write raid1 or another level"
    ),
    "spares-of-raid-0": Faulty(
        V, raid(level="raid0", spares=1), "/storage/raid/0/spares: are not possible with raid0; remove them"
    ),
    "unknown-filesystem": Faulty(
        V, filesystem(format="zfs"), f"/storage/filesystems/0/format: 'zfs' is not supported; {FORMATS}"
    ),
    "none-as-a-filesystem-of-3.2": Faulty(
        V, document("3.2.0", storage={"filesystems": [{"device": "/dev/sda1", "format": "none"}]}),
        "/storage/filesystems/0/format: 'none' is not supported; write one of ext4, btrfs, xfs, swap, vfat",
    ),
    "label-without-a-filesystem": Faulty(
        V, filesystem(label="a"), f"/storage/filesystems/0/format: is missing; {FORMATS}"
    ),
    "filesystem-with-a-long-label": Faulty(
        V, filesystem(format="xfs", label="a" * 13),
        "/storage/filesystems/0/label: is longer than 12 bytes, which xfs takes; shorten it",
    ),
    "filesystem-at-a-relative-path": Faulty(
        V, filesystem(format="xfs", path="var"),
        "/storage/filesystems/0/path: 'var' is not absolute; write a full, simplified path",
    ),
    "luks-with-a-slash": Faulty(V, luks(name="a/b"), "/storage/luks/0/name: has a slash; write a name, not a path"),
    "luks-with-a-long-label": Faulty(
        V, luks(label="a" * 48), "/storage/luks/0/label: is longer than 47 bytes; shorten it"
    ),
    "clevis-with-an-unknown-pin": Faulty(
        V, luks(clevis={"custom": {"pin": "yubikey", "config": "{}"}}),
        "/storage/luks/0/clevis/custom/pin: is missing or unknown; write tpm2, tang or sss",
    ),
    "clevis-without-its-config": Faulty(
        V, luks(clevis={"custom": {"pin": "tpm2"}}), "/storage/luks/0/clevis/custom/config: is missing; write it"
    ),
    "clevis-with-custom-beside-tpm2": Faulty(
        V, luks(clevis={"custom": {"pin": "tpm2", "config": "{}"}, "tpm2": True}),
        "/storage/luks/0/clevis: has custom beside tang, tpm2 or threshold; keep one of them",
    ),
    "tang-by-ftp": Faulty(
        V, luks(clevis={"tang": [{**TANG, "url": "ftp://192.0.2.1"}]}),
        "/storage/luks/0/clevis/tang/0/url: is not an http or https URL; correct it",
    ),
    "tang-without-thumbprint": Faulty(
        V, luks(clevis={"tang": [{"url": "http://192.0.2.1"}]}),
        "/storage/luks/0/clevis/tang/0/thumbprint: is missing; write it",
    ),
    "tang-with-another-advertisement": Faulty(
        L, luks(clevis={"tang": [{**TANG, "advertisement": "no"}]}),
        "/storage/luks/0/clevis/tang/0/advertisement: is not JSON; write what the Tang server advertises",
    ),
}  # fmt: skip

SOUND_DISKS = {
    "with-a-removed-partition": partitions({"number": 1, "shouldExist": False}, {"number": 2, "label": "a"}),
    "with-neighbouring-partitions": partitions(
        {"number": 2, "startMiB": 11}, {"number": 1, "startMiB": 1, "sizeMiB": 10}
    ),
    "with-an-array": raid(spares=1),
    "with-a-filesystem": filesystem(format="xfs", path="/var", label="var"),
    "with-an-unformatted-disk": filesystem(),
    "with-an-encrypted-volume": luks(clevis={"tang": [{**TANG, "advertisement": "{}"}], "threshold": 1}),
    "with-a-key-from-s3": luks(keyFile={"source": "arn:aws:s3:::bucket/key"}),
    "with-a-clevis-pin-of-its-own": luks(clevis={"custom": {"pin": "sss", "config": "{}", "needsNetwork": True}}),
}  # fmt: skip
