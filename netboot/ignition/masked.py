"""Shows a configuration without its secrets: files that only their owner may read, keys, tokens, passwords. Pure.

Of the files and units that every user of the node may read, only known kinds of secrets are hidden: private keys, users
and passwords in URLs, and what is assigned to a name such as REGISTRY_PASSWORD.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

from netboot.ignition.resource import content_of
from netboot.ignition.schema import Json
from netboot.model.hidden import HIDDEN, without_assigned, without_users

_DEFAULT_MODE: Final = 0o644
_OTHERS_READ: Final = 0o044
_SECRET_PATH: Final = re.compile(
    r"/etc/kubernetes/(.*\.conf|pki/.*)|.*\.key|.*/[^/]*(token|secret)[^/]*|.*/(auth\.json|\.netrc|\.docker/.*)"
)
_QUERY: Final = re.compile(r"\?.*", re.DOTALL)
_SECRET_CONTENT: Final = re.compile(rb"PRIVATE KEY-----|://[^/?#\s@:\"']{0,256}:[^/?#\s@\"']{1,256}@")


def masked(config: Json) -> Json:
    """Return a configuration that was read with each secret replaced by its size and SHA-256, or by `hidden`."""
    result = dict(config)
    if "ignition" in config:
        result["ignition"] = _head(config["ignition"])
    if "systemd" in config:
        result["systemd"] = _changed(config["systemd"], "units", lambda units: list(map(_unit, units)))
    if "passwd" in config:
        result["passwd"] = {kind: [_account(each) for each in listed] for kind, listed in config["passwd"].items()}
    if "storage" in config:
        storage = _changed(config["storage"], "files", lambda files: [_file(each) for each in files])
        result["storage"] = _changed(
            storage, "luks", lambda disks: [_changed(each, "keyFile", _hidden) for each in disks]
        )
    return result


def _changed(holder: Json, name: str, change: Callable[[Any], Any]) -> Json:
    return holder | {name: change(holder[name])} if name in holder else holder


def _head(head: Json) -> Json:
    """Hide the configurations that the file holds itself, and the headers of those to fetch; also users of proxies."""

    def named(config: Json) -> Json:
        return _changed(_changed(config, "merge", lambda each: list(map(_child, each))), "replace", _child)

    def proxies(proxy: Json) -> Json:
        return {name: without_users(value) if isinstance(value, str) else value for name, value in proxy.items()}

    return _changed(_changed(head, "config", named), "proxy", proxies)


def _child(resource: Json) -> Json:
    return _hidden(resource) if _holds_content(resource) else _fetched(resource)


def _file(file: Json) -> Json:
    is_open = file.get("mode", _DEFAULT_MODE) & _OTHERS_READ and not _SECRET_PATH.fullmatch(file.get("path", ""))
    show = _shown if is_open else _hidden
    return _changed(_changed(file, "contents", show), "append", lambda resources: list(map(show, resources)))


def _hidden(resource: Json) -> Json:
    if resource.get("source") is None:
        return resource
    content = content_of(resource)
    if content is None:
        return {"source": HIDDEN}
    return {"source": f"{HIDDEN}, {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"}


def _shown(resource: Json) -> Json:
    """Show what a resource holds, unless that has a secret; of one to fetch where it is."""
    if not _holds_content(resource):
        return _fetched(resource)
    content = content_of(resource)
    return resource if content is not None and not _SECRET_CONTENT.search(content) else _hidden(resource)


def _holds_content(resource: Json) -> bool:
    return str(resource.get("source") or "").lower().startswith("data:")


def _fetched(resource: Json) -> Json:
    """Show where a resource is fetched, without the user and the query of its URL, and without headers."""
    without = _changed(
        resource, "httpHeaders", lambda headers: [_changed(each, "value", lambda _: HIDDEN) for each in headers]
    )
    return _changed(without, "source", lambda url: url and _QUERY.sub(f"?{HIDDEN}", without_users(url)))


def _unit(unit: Json) -> Json:
    def text(contents: str | None) -> str | None:
        return contents and without_assigned(without_users(contents))

    def dropin(each: Json) -> Json:
        return _changed(each, "contents", text)

    return _changed(_changed(unit, "contents", text), "dropins", lambda dropins: list(map(dropin, dropins)))


def _account(account: Json) -> Json:
    return _changed(account, "passwordHash", lambda _: HIDDEN)
