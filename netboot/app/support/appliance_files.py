"""What files of this appliance a support archive has: configuration, content, loaders, versions; without secrets."""

import hashlib
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from netboot import __version__
from netboot.content.bootfiles.directories import BootFiles
from netboot.content.library.library import Library
from netboot.model.hidden import HIDDEN, without_secrets_in
from netboot.model.host.host_secrets import is_public_argument
from netboot.operate.support.support_parts import SupportFile, text_file
from netboot.registry.host_sections import HostsDocument
from netboot.registry.load import read_declared
from netboot.settings.settings import Settings, read_settings
from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.files import read_text
from netboot.yamlfile.nodes import KeyPath
from netboot.yamlfile.positions import parse
from netboot.yamlfile.shown_values import shown_file

MOST_LOADERS: Final = 200
_PLACE: Final = re.compile(r"\.(ya?ml|json):\d+:\d+: ")
_QUOTED: Final = re.compile(r"(?<!\w)'[^']*'|\"[^\"]*\"")
_DPKG_STATUS: Final = Path("/var/lib/dpkg/status")
_IN_DPKG_STATUS: Final = ("Package", "Version", "Status")


def configuration_files(path: Path) -> Sequence[SupportFile]:
    """Return `netboot.yaml` and the hosts files with the values of known keys, and the faults of all. Blocks."""
    faults = Faults()
    found = read_declared(path, faults)
    problems = [*faults.problems, *faults.warnings]
    faulty = {Place(problem.file, problem.line, problem.column) for problem in problems}
    _, tree = read_settings(path, Faults())
    files = [text_file("configuration/netboot.yaml", shown_file(Settings, tree, faulty=faulty))]
    for number, file in enumerate(found.files, 1):
        text = _shown_hosts(file, faulty)
        files.append(text_file(f"configuration/hosts/{number:04}-{file.name}", text))
    listed = "".join(f"{problem_shown(str(problem))}\n" for problem in problems)
    return [*files, text_file("configuration/faults.txt", listed or "none\n")]


def problem_shown(problem: str) -> str:
    """Return a problem without the values that it quotes, if it is a fault of a file."""
    text = _QUOTED.sub(f"'{HIDDEN}'", problem) if _PLACE.search(problem) else problem
    return without_secrets_in(text)


def _shown_hosts(file: Path, faulty: set[Place]) -> str:
    text = read_text(file, Faults(), place=Place(str(file)))
    tree = None if text is None else parse(text, str(file), Faults())
    return f"# {file}\n{shown_file(HostsDocument, tree, faulty=faulty, value_shown=_shown)}"


def _shown(path: KeyPath, text: str) -> str:
    """Hide the values of free text: variables, and kernel arguments that are not known to be public."""
    if "variables" in path:
        return HIDDEN
    if {"kernel_arguments", "+kernel_arguments"} & set(path):
        return text if is_public_argument(text) else f"{text.partition('=')[0]}={HIDDEN}" if "=" in text else HIDDEN
    return text


def versions() -> Mapping[str, Any]:
    """Return the versions of netboot, Python, kernel, distribution and packages. Blocks."""
    packages = {each.metadata["Name"]: each.version for each in metadata.distributions()}
    return {
        "netboot": __version__,
        "python": sys.version,
        "kernel": " ".join(platform.uname()),
        "os_release": _os_release(),
        "python_packages": dict(sorted(packages.items())),
        "debian_packages": dict(_debian_packages()),
    }


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _debian_packages() -> Iterator[tuple[str, str]]:
    """Yield the installed packages of Debian with their versions; none on another distribution."""
    if not _DPKG_STATUS.exists():
        return
    for entry in _DPKG_STATUS.read_text("utf-8", "replace").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in entry.splitlines() if line.startswith(_IN_DPKG_STATUS))
        if fields.get("Status", "").endswith(" installed"):
            yield fields["Package"], fields.get("Version", "")


def content_list(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """List boot media and releases with the records of their imports, which have the digests. Blocks."""
    return [
        {
            "kind": entry.kind.word,
            "name": entry.name,
            "alias_of": entry.alias_of,
            "record": asdict(record) if (record := entry.record) is not None else None,
        }
        for entry in Library(settings.content.directory).entries()
    ]


def loader_list(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """List boot files with size and digest, `MOST_LOADERS` at most. Blocks."""
    listed = sorted(BootFiles(settings.bootfiles.directories), key=lambda file: file.name)[:MOST_LOADERS]
    return [
        {
            "name": file.name,
            "path": file.path,
            "size_bytes": file.size_bytes,
            "cpu": file.cpu,
            "sha256": _sha256(file.path),
        }
        for file in listed
    ]


def template_list(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """List the site's own templates with their digests, not their text. Blocks."""
    found = sorted(path for directory in settings.render.templates for path in directory.rglob("*") if path.is_file())
    return [{"path": path, "sha256": _sha256(path)} for path in found]


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
