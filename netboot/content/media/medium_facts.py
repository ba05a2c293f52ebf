"""Identifies the installer on an ISO from its content, never from its name. Pure.

Sources in this order, the most detailed first: `.treeinfo` (full media), the volume identifier
(`OL-8-10-0-BaseOS-x86_64`), `.discinfo`, the kernel (`…el8uek.x86_64`).
"""

import configparser
import re
from dataclasses import dataclass
from typing import Final

from netboot.errors import ContentError

KNOWN_RELEASES: Final = (8, 9, 10)
_VOLUME: Final = re.compile(r"OL-(\d+)-(\d+)(?:-\d+)?-\w+-(x86_64|aarch64)")


@dataclass(frozen=True, slots=True)
class Clues:
    """Values found on an ISO; empty if not found."""

    volume: str
    treeinfo: str
    discinfo: str
    kernel_architecture: str
    kernel_release: str
    has_packages: bool


@dataclass(frozen=True, slots=True)
class MediumFacts:
    is_oracle: bool
    version: str  # `8.10`; `8` if only that is known; or empty
    architecture: str
    variant: str  # `boot`, `boot-uek`, `full`

    @property
    def description(self) -> str:
        family = "Oracle Linux" if self.is_oracle else "Linux"
        return " ".join(filter(None, (family, self.version, self.architecture, self.variant)))

    @property
    def default_name(self) -> str | None:
        """`ol8u10-x86_64`; None if the release is not known."""
        major, _, minor = self.version.partition(".")
        if not (self.is_oracle and major):
            return None
        return f"ol{major}{f'u{minor}' if minor else ''}-{self.architecture}"


def medium_facts(clues: Clues, source: str) -> MediumFacts:
    """Combine the clues; raise ContentError if they contradict each other or the release cannot install OCK."""
    treeinfo = treeinfo_values(clues.treeinfo)
    discinfo = clues.discinfo.splitlines()
    volume = _VOLUME.fullmatch(clues.volume)
    architectures = {
        "its kernel": clues.kernel_architecture,
        ".treeinfo": treeinfo.get("arch", ""),
        "its volume identifier": volume[3] if volume else "",
        ".discinfo": discinfo[2].strip() if len(discinfo) > 2 else "",
    }
    stated = {each for each in architectures.values() if each}
    if len(stated) > 1:
        found_in = ", ".join(f"{place} has {value}" for place, value in architectures.items() if value)
        raise ContentError(f"{source} contradicts itself: {found_in}; download it again")
    version = (
        treeinfo.get("version", "")
        or (f"{volume[1]}.{volume[2]}" if volume else "")
        or release_version(clues.discinfo, clues.kernel_release)
    )
    family = treeinfo.get("family", "") + (discinfo[1] if len(discinfo) > 1 else "")
    facts = MediumFacts(
        is_oracle=volume is not None or "Oracle" in family,
        version=version,
        architecture=clues.kernel_architecture,
        variant="full" if clues.has_packages else "boot-uek" if "uek" in clues.kernel_release else "boot",
    )
    major = version.partition(".")[0]
    if major.isdecimal() and int(major) not in KNOWN_RELEASES:
        raise ContentError(
            f"{source} is {facts.description}, which cannot install OCK; take the UEK boot ISO of Oracle Linux 8 or 9"
        )
    return facts


def release_version(discinfo: str, kernel_release: str) -> str:
    """Return the release in the second line of `.discinfo`, otherwise the major number from the kernel's `el8`."""
    found = re.match(r".*\n.*?(\d+(?:\.\d+)*)", discinfo) or re.search(r"\.el(\d+)", kernel_release)
    return found[1] if found else ""


def treeinfo_values(text: str, section: str = "general") -> dict[str, str]:
    """Read a section of a `.treeinfo`; empty if there is none."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read_string(text)
        return dict(config[section])
    except (configparser.Error, KeyError):
        return {}
