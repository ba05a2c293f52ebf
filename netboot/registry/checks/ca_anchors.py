"""Reads the PEM files of CAs that hosts name in `ca_anchors`.

A file that is missing or cannot be read is no fault of the hosts files: its hosts are loaded and are not ready.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from netboot.errors import Problem
from netboot.model.host.host import HostName
from netboot.model.host.image_trust import CaAnchor
from netboot.registry.checks.host_checks import Hosts
from netboot.registry.host_sections import HostSection
from netboot.registry.merge import ADDS, Merged, Origin
from netboot.yamlfile.faults import Faults, shown
from netboot.yamlfile.files import read_bytes

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_PRIVATE_KEY: Final = "PRIVATE KEY-----"
_IN_PEM: Final = "name a file of PEM certificates; openssl x509 -inform DER -in FILE -out FILE.pem converts one of DER"


@dataclass(frozen=True, slots=True)
class HostAnchors:
    """The anchors of one host, and why others of its files cannot be read now."""

    read: tuple[CaAnchor, ...]
    missing: tuple[str, ...]


def read_ca_anchors(hosts: Hosts, faults: Faults) -> Mapping[HostName, HostAnchors]:
    """Read each file once; refuse one that has no certificate or a private key, and two of one name for a host."""
    read: dict[Path, CaAnchor | str | None] = {}
    found = {}
    for name, host in hosts.items():
        paths = host.values.ca_anchors or ()
        for path in paths:
            if path not in read:
                read[path] = _read(path, _origin(host, path), faults)
        _check_names(host, faults)
        each = [read[path] for path in dict.fromkeys(paths)]
        anchors = tuple(anchor for anchor in each if isinstance(anchor, CaAnchor))
        found[name] = HostAnchors(anchors, tuple(reason for reason in each if isinstance(reason, str)))
    return found


def _read(path: Path, origin: Origin, faults: Faults) -> CaAnchor | str | None:
    """Return the anchor of a file, why it cannot be read, or None for one that is refused."""
    unreadable = Faults()
    content = read_bytes(path, unreadable, place=origin.place)
    if content is None:
        [fault] = unreadable.problems
        cure = f"{fault.cure}; then netboot reload"
        return str(Problem(fault.file, fault.line, fault.column, origin.where, fault.what, cure))
    text = content.decode("ascii", "replace")
    certificates = "".join(f"{found}\n" for found in _CERTIFICATE.findall(text.replace("\r\n", "\n")))
    refused = _refused_name(path) or _refused_text(text, certificates)
    if refused is None:
        try:
            return CaAnchor(path, certificates, _first_end(certificates))
        except ssl.SSLError as error:
            refused = f"has a certificate that cannot be read ({error.reason or error})", _IN_PEM
    what, cure = refused
    faults.add(origin.place, origin.where, what=f"{path} {what}", cure=cure)
    return None


def _refused_name(path: Path) -> tuple[str, str] | None:
    if _NAME.fullmatch(path.name):
        return None
    what = f"has the name {shown(path.name)}, which it would have on the node"
    return what, "use letters, digits, dots, hyphens and underscores, as site-ca.pem"


def _refused_text(text: str, certificates: str) -> tuple[str, str] | None:
    if _PRIVATE_KEY in text:
        return "contains a private key, which no node needs", "name a file that has the certificate alone"
    return None if certificates else ("has no PEM certificate", _IN_PEM)


def _first_end(pem: str) -> datetime | None:
    """Return when the first of the CA certificates ends; None if none is of a CA. Raises ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    ends = [ssl.cert_time_to_seconds(str(each["notAfter"])) for each in context.get_ca_certs()]
    return datetime.fromtimestamp(min(ends), UTC) if ends else None


def _check_names(host: Merged[HostSection], faults: Faults) -> None:
    """Refuse two files that would have one name on the node."""
    owners: dict[str, Path] = {}
    for path in host.values.ca_anchors or ():
        owner = owners.setdefault(path.name, path)
        if owner != path:
            origin = _origin(host, path)
            what = f"{path} and {owner} ({_origin(host, owner).place}) have one name on the node"
            faults.add(origin.place, origin.where, what=what, cure="rename one of the two")


def _origin(host: Merged[HostSection], path: Path) -> Origin:
    """Find where a host or a layer below it names a file."""
    return next(
        layer.written(ADDS.get(key, key), listed.index(path))
        for layer in host.layers
        for key in ("added_ca_anchors", "ca_anchors")
        if path in (listed := getattr(layer.values, key, None) or ())
    )
