"""The name of a container image: a repository, and the tag or digest of a manifest in it. Pure.

Grammar: OCI distribution-spec v1.1, "Pulling manifests". A registry's host in front of a repository is not part of it
(`container-registry.oracle.com/olcne/ock-ostree:1.33` is `olcne/ock-ostree:1.33` here), so that one mirror serves what
several registries have.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

LONGEST_REPOSITORY: Final = 255
OCK_REPOSITORY: Final = "olcne/ock-ostree"  # of the operating system of nodes
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def is_repository(text: str) -> bool:
    return len(text) <= LONGEST_REPOSITORY and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Return whether a text is a SHA-256 digest, the only kind that is stored."""
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class ImageName:
    """A repository and a reference: a tag, a digest, or neither (empty)."""

    repository: str
    reference: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `[docker://][HOST/]REPOSITORY[:TAG|@DIGEST]`; raise ValueError with the part that is wrong."""
        name = text.removeprefix("docker://")
        repository, at, digest = name.partition("@")
        if at and not is_digest(digest):
            raise ValueError(f"{digest!r} is not a SHA-256 digest")
        host, slash, path = repository.partition("/")
        if slash and (set(host) & {".", ":"} or host == "localhost"):
            repository = path
        repository, colon, tag = repository.partition(":")
        if colon and not is_tag(tag):
            raise ValueError(f"{tag!r} is not a tag")
        if not is_repository(repository):
            raise ValueError(f"{repository!r} is not the name of a repository")
        return cls(repository, digest or tag)

    def __str__(self) -> str:
        if not self.reference:
            return self.repository
        return f"{self.repository}{'@' if is_digest(self.reference) else ':'}{self.reference}"
