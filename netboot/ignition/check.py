"""Verifies an Ignition file: finds what Ignition would refuse, as far as this can be decided without the network.

Verified against Ignition 2.14 and written after the sources of 2.16.2, which OCK 1.33 has.
"""

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from netboot.ignition.disks import verify_disks
from netboot.ignition.json_text import parse
from netboot.ignition.node_checks import Node, nodes_of, verify_nodes, verify_parents
from netboot.ignition.problem import IgnitionProblem, Problems
from netboot.ignition.resource import Resources
from netboot.ignition.schema import Json, entries, fit
from netboot.yamlfile.faults import shown

KNOWN_VERSION: Final = re.compile(r"3\.([0-6])\.0")  # 3.6.0 came with Ignition 2.26; OCK 1.33 reads up to 3.4.0

_NESTED_LIMIT: Final = 8  # configurations inside of data URLs
_LARGEST_ID: Final = 2**32 - 2
_NOT_IN_A_NAME: Final = re.compile(r"^-|[:/,\s\x00-\x1f\x7f]|^$")
_LINE_OR_FIELD_END: Final = re.compile(r"[:\n\x00]")


@dataclass(frozen=True, slots=True)
class IgnitionFile:
    """A file that was read: its specification ("" if unknown), fields, problems and nodes."""

    version: str
    config: Json = field(repr=False)  # contains secrets
    problems: tuple[IgnitionProblem, ...]
    nodes: tuple[Node, ...] = ()

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(node.path for node in self.nodes if node.kind != "unit")

    def without_contents(self) -> "IgnitionFile":
        """Return a copy without the fields, which may be kept in memory."""
        return replace(self, config={})


def check_merged(files: Sequence[IgnitionFile]) -> list[IgnitionProblem]:
    """List the paths that conflict when these valid files are merged in this order."""
    problems = Problems()
    verify_parents([file.nodes for file in files], problems)
    return problems


def read_ignition(data: bytes, *, depth: int = 0) -> IgnitionFile:
    """Read and verify a file that is held by `depth` others, in data URLs."""
    document = parse(data)
    if isinstance(document, IgnitionProblem):
        return IgnitionFile("", {}, (document,))
    head = document.get("ignition")
    version = head.get("version") if isinstance(head, dict) else None
    if not isinstance(version, str):
        cure = "give an Ignition file, not Butane or another configuration"
        return IgnitionFile("", {}, (IgnitionProblem("", "has no ignition.version", cure),))
    known = KNOWN_VERSION.fullmatch(version)
    if known is None:
        cure = "give one of spec 3.0.0 to 3.6.0, as ocne writes"
        return IgnitionFile("", {}, (IgnitionProblem("", f"is Ignition {shown(version)}", cure),))
    minor, problems = int(known[1]), Problems()
    config = fit(document, minor=minor, problems=problems)
    if not problems:  # files with wrong types are not verified further
        _verify(config, problems, minor=minor, depth=depth)
    return IgnitionFile(version, config, tuple(problems), tuple(nodes_of(config)))


def _verify(config: Json, problems: Problems, *, minor: int, depth: int) -> None:
    resources = Resources(minor, problems)
    _verify_head(config.get("ignition", {}), resources, depth=depth)
    verify_nodes(config, problems)
    for file, pointer in entries(config, "storage/files"):
        resources.verify(file.get("contents", {}), f"{pointer}/contents")
        for resource, place in entries(file, "append", pointer):
            resources.verify(resource, place)
    for volume, pointer in entries(config, "storage/luks"):
        resources.verify(volume.get("keyFile", {}), f"{pointer}/keyFile")
    verify_disks(config, problems, minor=minor)
    _verify_accounts(config, problems)


def _verify_head(head: Json, resources: Resources, *, depth: int) -> None:
    replacement = head.get("config", {}).get("replace", {}), "/ignition/config/replace"
    for child, pointer in (*entries(head, "config/merge", "/ignition"), replacement):
        content = resources.verify(child, pointer, is_required="/merge/" in pointer)
        if content and depth < _NESTED_LIMIT:
            for problem in read_ignition(content, depth=depth + 1).problems:
                place = problem.pointer and f"{problem.pointer} "
                what = f"holds a configuration that Ignition refuses: {place}{problem.what}"
                resources.problems.add(f"{pointer}/source", what, cure=problem.cure)
    for authority, pointer in entries(head, "security/tls/certificateAuthorities", "/ignition"):
        content = resources.verify(authority, pointer, is_required=True)
        if content is not None and not _is_certificate(content):
            resources.problems.add(f"{pointer}/source", "holds no PEM certificate", cure="write one or more")
    for name in ("httpProxy", "httpsProxy"):
        proxy = head.get("proxy", {}).get(name)
        if proxy is not None and not re.match("https?:", proxy, re.IGNORECASE):
            cure = "write http://HOST:PORT"
            resources.problems.add(f"/ignition/proxy/{name}", "is not an http or https URL", cure=cure)


def _is_certificate(content: bytes) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError):
        return False
    return True


def _verify_accounts(config: Json, problems: Problems) -> None:
    """Verify accounts by the rules of useradd(8) and groupadd(8), which Ignition runs."""
    for path, number in (("passwd/users", "uid"), ("passwd/groups", "gid")):
        for account, pointer in entries(config, path):
            name = account.get("name", "")
            if _NOT_IN_A_NAME.search(name):
                problems.add(f"{pointer}/name", f"{shown(name)} is not an account's name", cure="correct it")
            if not 0 <= account.get(number, 0) <= _LARGEST_ID:
                problems.add(f"{pointer}/{number}", "is out of range", cure=f"write 0 to {_LARGEST_ID}")
            if _LINE_OR_FIELD_END.search(account.get("passwordHash", "")):
                what = "has a colon or line break, which /etc/shadow cannot hold"
                problems.add(f"{pointer}/passwordHash", what, cure="write what mkpasswd prints")
            for field_name in ("homeDir", "shell"):
                given = account.get(field_name, "")
                if given and (not given.startswith("/") or _LINE_OR_FIELD_END.search(given)):
                    what = f"{shown(given)} is not an absolute path"
                    problems.add(f"{pointer}/{field_name}", what, cure="correct it")
