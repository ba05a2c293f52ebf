"""The Ignition of one host: a wrapper that merges the role's file, untouched, with an overlay for this machine.

Pure: values in, JSON bytes out; the role's file is never changed. `version` is its Ignition specification.
Every file of the overlay has `"compression": ""`: without it a child inherits the parent's `gzip` (Ignition 2.14).
"""

import json
from collections.abc import Collection
from typing import Final
from urllib.parse import quote

from netboot.model import urls
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.render.connections import connections
from netboot.render.embedded_ignition import ARCHIVE_NAME
from netboot.render.node_updates import NO_UPDATES, NodeUpdates, update_files, update_units
from netboot.render.template_engine import Engine

_RESPONSE_HEADERS_S: Final = 30
CHRONY_CONF: Final = "/etc/chrony.conf"  # of EL8 to EL10; their chronyd reads no drop-in directory
# A file of its own: `ocne` writes /etc/containers/registries.conf (containers-registries.conf.d(5)).
REGISTRY_MIRRORS: Final = "/etc/containers/registries.conf.d/50-mirror.conf"
CA_ANCHORS: Final = "/etc/pki/ca-trust/source/anchors"  # OCK's update-ca-trust.path reads a change (update-ca-trust(8))

_FORGET: Final = "/etc/netboot/forget-ignition"
_FORGET_UNIT: Final = "netboot-forget-ignition.service"
_KEYFILES: Final = "/etc/NetworkManager/system-connections"
_KEYFILE: Final = "connection.nmconnection.j2"

Json = dict[str, object]


def wrapper(*, version: str, base_url: str, token: str, role_sha512: str | None, overlay_sha512: str | None) -> bytes:
    """Return the document of `ignition.config.url`; the overlay comes last, so it takes precedence.

    The hashes are hex, over the exact bytes served at `/ign/TOKEN/role` and `/ign/TOKEN/overlay`; None: the role's file
    is made later. `httpTotal` is not set, so Ignition retries the children without limit while they answer 503.
    """
    children = [
        {
            "source": urls.ignition(base_url, token, part),
            "compression": "",
            "verification": {"hash": f"sha512-{sha512}"} if sha512 is not None else {},
        }
        for part, sha512 in (("role", role_sha512), ("overlay", overlay_sha512))
    ]
    return _json(
        {
            "ignition": {
                "version": version,
                "config": {"merge": children},
                "timeouts": {"httpResponseHeaders": _RESPONSE_HEADERS_S},
            }
        }
    )


def overlay(
    engine: Engine,
    host: Host,
    *,
    version: str,
    ready_url: str,
    log_url: str | None = None,
    mac: Mac | None = None,
    role_paths: Collection[str] = (),
    is_embedded: bool = False,
    updates: NodeUpdates = NO_UPDATES,
) -> bytes:
    """Return what the role's file lacks: name, network, time servers, mirrors, CAs, keys, card, report of `ready`.

    `ready_url` is `BASE/report/TOKEN/ready`, and `log_url` where the first boot sends its journal, if it does. `mac` is
    the card that the machine boots from. Without it a static address goes to the first card, and DHCP to any card of a
    machine that has several. `role_paths` are those of the role's file: a chrony.conf that it has is kept.
    `is_embedded`: a unit removes the archive with this document from /boot. `updates`: its part for updates.
    Raises RenderError.
    """
    interface, (files_of_images, units_of_updates) = host.network.device, _of_images(engine, host, updates)
    context: dict[str, object] = {"host": host, "network": host.network, "interface": interface}
    context |= {"ready_url": ready_url, "archive_name": ARCHIVE_NAME, **({"log_url": log_url} if log_url else {})}

    def rendered(template: str, **more: object) -> str:
        return engine.render(f"ignition/{template}", subject=host.name, context=context | more)

    sets_time = bool(host.ntp) and CHRONY_CONF not in role_paths
    document: Json = {
        "ignition": {"version": version},
        "storage": {
            "files": [
                _file("/etc/hostname", rendered("hostname.j2"), mode=0o644),
                *(
                    _file(f"{_KEYFILES}/{each.name}.nmconnection", rendered(_KEYFILE, connection=each), mode=0o600)
                    for each in connections(host, mac)
                ),
                _file("/etc/netboot/report-ready", rendered("report-ready.sh.j2"), mode=0o700),
                *([_file("/etc/netboot/send-journal", rendered("send-journal.sh.j2"), mode=0o700)] if log_url else []),
                *([_file(CHRONY_CONF, rendered("chrony.conf.j2"), mode=0o644)] if sets_time else []),
                *files_of_images,
                *([_file(_FORGET, rendered("forget-ignition.sh.j2"), mode=0o700)] if is_embedded else []),
            ]
        },
        "systemd": {
            "units": [
                *([_dropin(rendered("zz-netif.conf.j2"))] if interface else []),
                *([{"name": "chronyd.service", "enabled": True}] if sets_time else []),
                *([_unit(_FORGET_UNIT, rendered(f"{_FORGET_UNIT}.j2"))] if is_embedded else []),
                _unit("netboot-ready.service", rendered("netboot-ready.service.j2")),
                *([_unit("netboot-journal.service", rendered("netboot-journal.service.j2"))] if log_url else []),
                *units_of_updates,
            ]
        },
    }
    if host.ssh_keys:
        document["passwd"] = {"users": [{"name": "ocne", "sshAuthorizedKeys": list(host.ssh_keys)}]}
    return _json(document)


def _unit(name: str, contents: str) -> Json:
    return {"name": name, "enabled": True, "contents": contents}


def _of_images(engine: Engine, host: Host, updates: NodeUpdates) -> tuple[list[Json], list[Json]]:
    """Return the files about container images and updates, and the units of updates."""
    files = [_file(f"{CA_ANCHORS}/{each.name}", each.pem, mode=0o644) for each in host.ca_anchors]
    if any(host.registries.values()):
        mirrors = engine.render("ignition/mirror.conf.j2", subject=host.name, context={"host": host})
        files.insert(0, _file(REGISTRY_MIRRORS, mirrors, mode=0o644))
    written = update_files(engine, host, updates, anchors=CA_ANCHORS)
    files += [_file(each.path, each.text, mode=each.mode) for each in written]
    return files, [_enabled(name, text) for name, text in update_units(engine, host, updates).items()]


def _enabled(name: str, contents: str) -> Json:
    """Return a unit, enabled if it can be: a service that a timer starts is not."""
    return _unit(name, contents) if "[Install]" in contents else {"name": name, "contents": contents}


def _dropin(contents: str) -> Json:
    """Replace the card's name that `ocne` wrote for the whole role; the drop-in sorts after its `bootstrap.conf`."""
    return {"name": "ocne.service", "dropins": [{"name": "zz-netif.conf", "contents": contents}]}


def _file(path: str, text: str, *, mode: int) -> Json:
    return {
        "path": path,
        "overwrite": True,
        "mode": mode,
        "contents": {"compression": "", "source": f"data:,{quote(text)}", "verification": {}},
    }


def _json(document: Json) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
