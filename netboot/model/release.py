"""What a machine boots and installs: a boot medium and a release of the operating system."""

from dataclasses import dataclass
from enum import StrEnum


class ContentKind(StrEnum):
    """A served file as the timeline of a boot names it."""

    KERNEL = "kernel"
    INITRD = "initrd"
    STAGE2 = "stage2"
    TREEINFO = "treeinfo"
    OSTREE_OBJECT = "ostree-object"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Release:
    """An OSTree archive below `/ostree/{name}/`: its ref, the commit it names, and how many objects that reaches."""

    name: str
    ref: str
    commit: str
    object_count: int
