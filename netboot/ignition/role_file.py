"""Reads what an Ignition file of `ocne` has of the cluster: use, identity, endpoint, interface, which secrets it holds.

Source: ocne 2.3.3, `pkg/cluster/ignition/{ignition,kubeadm,virtual_ip}.go`. Each file in it may be at most
`LIMIT_BYTES` long. Never raises; a part that cannot be read is missing from the result. A secret leaves this module
only as its SHA-256.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from netboot.ignition.certificate import authority_hashes
from netboot.ignition.check import KNOWN_VERSION, IgnitionFile
from netboot.ignition.problem import Problems
from netboot.ignition.resource import Resources
from netboot.ignition.schema import Json
from netboot.model.host.role_ignition import RoleFile, RoleUse, SecretKind
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Listing, Node, Scalar, find
from netboot.yamlfile.positions import parse_documents

LIMIT_BYTES: Final = 1024 * 1024

KUBEADM: Final = "/etc/kubernetes/kubeadm.conf"
_CA: Final = "/etc/kubernetes/pki/ca.crt"
_CA_KEY: Final = "/etc/kubernetes/pki/ca.key"
_KEEPALIVED: Final = "/etc/keepalived/keepalived.conf"
_PATHS: Final = frozenset({KUBEADM, _CA, _KEEPALIVED})

_ENVIRONMENT: Final = re.compile(r"^Environment=\"?(ACTION|NET_INTERFACE)=([A-Za-z0-9._:-]{1,64})", re.MULTILINE)
_VIRTUAL_IP: Final = re.compile(r"^\s*virtual_ipaddress\s*\{\s*([0-9A-Fa-f.:]{2,45})(?=[\s/}])", re.MULTILINE)
_KEEPALIVED_INTERFACE: Final = re.compile(r"^\s*interface\s+([A-Za-z0-9._-]{1,15})\s*$", re.MULTILINE)
_CA_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:,/\[\]-]{1,255}")  # what messages show

_INIT: Final = "InitConfiguration"
_JOIN: Final = "JoinConfiguration"
_CLUSTER: Final = "ClusterConfiguration"
_DISCOVERY: Final = ("discovery", "bootstrapToken")


def role_file(file: IgnitionFile) -> RoleFile:
    """Read a file that `read_ignition` found without problems; of any other nothing is known."""
    known = None if file.problems else KNOWN_VERSION.fullmatch(file.version)
    if known is None:
        return RoleFile()
    contents = _contents(file.config, minor=int(known[1]))
    environment = _environment(file.config)
    documents = _documents(contents.get(KUBEADM, ""))
    cluster, join = documents.get(_CLUSTER), documents.get(_JOIN)
    keepalived = contents.get(_KEEPALIVED, "")
    discovery = find(join, _DISCOVERY)
    return RoleFile(
        use=_use(file, environment.get("ACTION"), documents),
        authorities=authority_hashes(contents.get(_CA, "").encode()) or _pinned(discovery),
        endpoint=_plain(cluster, "controlPlaneEndpoint") or _plain(discovery, "apiServerEndpoint"),
        virtual_ip=_matched(_VIRTUAL_IP, keepalived),
        interface=environment.get("NET_INTERFACE"),
        virtual_ip_interface=_matched(_KEEPALIVED_INTERFACE, keepalived),
        pod_subnet=_plain(cluster, "networking", "podSubnet"),
        service_subnet=_plain(cluster, "networking", "serviceSubnet"),
        kubernetes_version=_plain(cluster, "kubernetesVersion"),
        fetched_from=tuple(sorted(set(_servers(file.config)))),
        secrets=_secrets(discovery, join),
    )


def authority_pem(file: IgnitionFile) -> str:
    """Return the certificate of the cluster's CA; empty if the file has none, as one that joins."""
    known = None if file.problems else KNOWN_VERSION.fullmatch(file.version)
    return "" if known is None else _contents(file.config, minor=int(known[1])).get(_CA, "")


def _servers(value: Any) -> Iterator[str]:
    """Return the server of each resource that the file does not hold, without user and password."""
    if isinstance(value, list):
        for each in value:
            yield from _servers(each)
    elif isinstance(value, dict):
        url = urlsplit(value.get("source") or "data:")
        if url.scheme != "data":
            yield f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
        yield from _servers(list(value.values()))


def _contents(config: Json, *, minor: int) -> dict[str, str]:
    """Decode the files that are read here."""
    found = {}
    for held in config.get("storage", {}).get("files", []):
        if held.get("path") in _PATHS:
            resources = Resources(minor, Problems(), limit_bytes=LIMIT_BYTES)
            content = resources.verify(held.get("contents", {}), "") or b""
            if len(content) <= LIMIT_BYTES:
                found[held["path"]] = content.decode("utf-8", "replace")
    return found


def _environment(config: Json) -> dict[str, str]:
    """Return ACTION and NET_INTERFACE of `ocne.service`; a later drop-in replaces an earlier one's."""
    found: dict[str, str] = {}
    for unit in config.get("systemd", {}).get("units", []):
        if unit.get("name") == "ocne.service":
            texts = [dropin.get("contents", "") for dropin in unit.get("dropins", [])]
            found |= {name: value for text in texts for name, value in _ENVIRONMENT.findall(text)}
    return found


def _documents(text: str) -> dict[str, Node]:
    """Return the documents of `kubeadm.conf` by their kind."""
    found: dict[str, Node] = {}
    for node in parse_documents(text, KUBEADM, Faults()):
        kind = find(node, ("kind",))
        if isinstance(kind, Scalar):
            found.setdefault(kind.text, node)
    return found


def _use(file: IgnitionFile, action: str | None, documents: dict[str, Node]) -> RoleUse | None:
    if action == "init" or (action is None and (_CA_KEY in file.paths or _INIT in documents)):
        return RoleUse.INIT
    if _JOIN in documents:
        return RoleUse.WORKER if find(documents[_JOIN], ("controlPlane",)) is None else RoleUse.CONTROL_PLANE
    return RoleUse.JOIN if action == "join" else None


def _pinned(discovery: Node | None) -> tuple[str, ...]:
    hashes = find(discovery, ("caCertHashes",))
    items = hashes.items if isinstance(hashes, Listing) else ()
    matches = [_CA_HASH.fullmatch(item.text.lower()) for item in items if isinstance(item, Scalar)]
    return tuple(match[1] for match in matches if match)


def _secrets(discovery: Node | None, join: Node | None) -> dict[SecretKind, bytes]:
    given = {
        SecretKind.BOOTSTRAP: find(discovery, ("token",)),
        SecretKind.CERTIFICATE_KEY: find(join, ("controlPlane", "certificateKey")),
    }
    return {
        kind: hashlib.sha256(node.text.encode("utf-8", "replace")).digest()
        for kind, node in given.items()
        if isinstance(node, Scalar) and not node.is_null
    }


def _plain(node: Node | None, *path: str) -> str | None:
    found = find(node, path)
    return found.text if isinstance(found, Scalar) and _PLAIN.fullmatch(found.text) else None


def _matched(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None
