"""What machines showed and reported of themselves, for `host list --discovered` and `host show`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from netboot.admin.texts.ages import ago
from netboot.model.host.firmware import LocalBoot, local_boot_reason

DISCOVERED_COLUMNS: Final = ("MAC", "ARCH", "VENDOR CLASS", "UUID", "LAST SEEN", "REPORTED (UNVERIFIED)", "PORT")
_LINES: Final = ("manufacturer", "product", "serial")  # facts that are shown in a table
_LABELS: Final = {"ipxe": "iPXE", "uuid": "UUID", "asset": "asset tag"}


def discovered_rows(machines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Return a row of `DISCOVERED_COLUMNS` for each machine."""
    for item in machines:
        facts = item["facts"]
        yield (
            item["mac"],
            item["arch"],
            item["vendor_class"] or "",
            item["uuid"] or "",
            ago(item["last_seen"]),
            " ".join(facts[name] for name in _LINES if name in facts),
            port_text(item),
        )


def machine_lines(machine: Mapping[str, Any]) -> Iterator[str]:
    """Describe one network card of a host: when and how it was seen, and what it reported."""
    first, last = ago(machine["first_seen"]), ago(machine["last_seen"])
    yield f"{machine['mac']}: first seen {first}, last seen {last}"
    for name, path in (("first", machine["first_path"]), ("last", machine["last_path"])):
        if path is not None:
            yield f"  {name} request {path_text(path)}"
    for firmware, stored in machine["local_boots"].items():
        if (known := LocalBoot.from_json(stored)) is not None:
            yield f"  local boot of {firmware}: {known.method}, {local_boot_reason(known)}"
    if machine["facts"]:
        facts = ", ".join(f"{fact_label(name)} {text}" for name, text in machine["facts"].items())
        yield f"  reported by the machine, unverified: {facts}"


def every_fact(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Return every field of a machine that has a value, with its name; those of a table one by one."""
    match value:
        case Mapping():
            for name, inner in value.items():
                yield from every_fact(inner, f"{key} {name}".strip().replace("_", " "))
        case list():
            for inner in value:
                yield from every_fact(inner, key)
        case None | "":
            return
        case _:
            yield key, f"{value} ({ago(value)})" if key.endswith("seen") else str(value)


def inspection_lines(inspection: Mapping[str, Any]) -> Iterator[str]:
    """Describe an inspection or a wipe: when it was requested, begun and reported, and what it found."""
    requested = "requested" if inspection["kind"] == "inspect" else f"{inspection['kind']} requested"
    times = {requested: "requested_at", "begun": "begun_at", "reported": "reported_at"}
    parts = [f"{name} {ago(inspection[key])}" for name, key in times.items() if inspection[key]]
    medium = f" with {inspection['medium']}" if inspection["medium"] else ""
    yield f"{inspection['mac']}: {', '.join(parts)}{medium}"
    if inspection["wipe"]:
        yield f"  {wipe_text(inspection['wipe'])}"
    hardware = inspection["hardware"]
    if hardware is not None:
        yield f"  reported by the machine, unverified: {box_text(hardware)}"
        yield from (f"  disk {_disk(disk)}" for disk in hardware["disks"])
        yield from (f"  card {_card(card)}" for card in hardware["cards"])


def next_boot_texts(request: Mapping[str, Any] | None) -> list[str]:
    """Describe what a host boots once, at its next network boot; empty: nothing was requested."""
    if request is None:
        return []
    medium = f" of {request['medium']}" if request["medium"] else ""
    return [f"{request['kind']}{medium} requested {ago(request['requested_at'])}"]


def one_time_lines(machines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Describe the requests for unregistered machines that no boot has spent, and their wipes."""
    for machine in machines:
        inspection = machine["inspection"]
        if inspection is None:
            continue
        if inspection["wipe"]:
            yield f"{machine['mac']}: {wipe_text(inspection['wipe'])}"
        elif inspection["requested_at"]:
            yield f"{machine['mac']}: {inspection['kind']} requested {ago(inspection['requested_at'])}"


def wipe_text(wipe: Mapping[str, Any]) -> str:
    """Describe the wipe of a retired host's disk."""
    note = f": {wipe['note']}" if wipe["note"] else ""
    return f"wipe of {wipe['host']} {wipe['state']} {ago(wipe['at'])}{note}"


def box_text(hardware: Mapping[str, Any]) -> str:
    """Describe firmware, memory and CPUs of an inspected machine."""
    memory = hardware.get("memory_kib")
    secure_boot = _either(hardware.get("secure_boot"), "Secure Boot on", "Secure Boot off")
    parts = [
        hardware.get("firmware"),
        secure_boot,
        "in setup mode" if hardware.get("setup_mode") else "",
        f"{memory / 2**20:.1f} GiB memory" if memory else "",
        f"{hardware['cpus']} CPUs" if "cpus" in hardware else "",
        hardware.get("cpu"),
    ]
    return ", ".join(part for part in parts if part) or "nothing"


def _disk(disk: Mapping[str, Any]) -> str:
    size = disk.get("size_bytes")
    parts = [
        disk.get("name", "?"),
        f"{size / 10**9:.0f} GB" if size else "",
        _either(disk.get("rotational"), "rotational", "not rotational"),
        "removable" if disk.get("removable") else "",
        "read-only" if disk.get("read_only") else "",
        f"model {disk['model']}" if "model" in disk else "",
        f"serial {disk['serials'][0]}" if disk.get("serials") else "",
        f"wwn {disk['wwns'][0]}" if disk.get("wwns") else "",
        *disk.get("by_path", ())[:1],
    ]
    return ", ".join(part for part in parts if part)


def _card(card: Mapping[str, Any]) -> str:
    parts = [
        card.get("name", "?"),
        card.get("mac", ""),
        card.get("driver", ""),
        _either(card.get("has_link"), "link", "no link"),
        f"{card['speed_mbps']} Mb/s" if "speed_mbps" in card else "",
    ]
    return ", ".join(part for part in parts if part)


def _either(flag: bool | None, yes: str, no: str) -> str:
    return "" if flag is None else yes if flag else no


def port_text(machine: Mapping[str, Any]) -> str:
    """Return the switch port: by LLDP as the machine reports it, else by option 82."""
    facts, path = machine["facts"], machine["last_path"]
    ports = " ".join(facts[name] for name in ("switch", "switch_port") if name in facts)
    return ports or (path_text(path) if path else "")


def path_text(path: Mapping[str, Any]) -> str:
    """Describe how a DISCOVER came: relay and ids of option 82."""
    named = {"by relay": path["relay"], "circuit": path["circuit_id"], "remote": path["remote_id"]}
    return " ".join(f"{name} {text}" for name, text in named.items() if text)


def fact_label(name: str) -> str:
    """Name a fact that iPXE reported."""
    return _LABELS.get(name, name.replace("_", " "))
