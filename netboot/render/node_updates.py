"""What the overlay has for updates of the installed node: where `ocne-update` finds them, and the reports. Pure."""

from dataclasses import dataclass
from typing import Final

from netboot.model.host.host import Host
from netboot.render.template_engine import Engine

UPDATE_CONFIG: Final = "/etc/ocne/update.yaml"
# Before 50-mirror.conf: of two files about one registry the last is used, and that is the operator's.
REGISTRY_CONFIG: Final = "/etc/containers/registries.conf.d/40-netboot-updates.conf"
CA_ANCHOR: Final = "netboot-registry.pem"
SCRIPT: Final = "/etc/netboot/report-updates"
UNITS: Final = ("netboot-updates.service", "netboot-updates.timer", "netboot-updates.path")
# As ocne writes it (pkg/cluster/ignition/library.go), so that `ocne cluster stage` finds each line with its sed.
_UPDATE_YAML: Final = "registry: {image}\ntag: {tag}\ntransport: ostree-unverified-registry\n"


@dataclass(frozen=True, slots=True)
class UpdateSource:
    """The image that a node follows: `registry` is `ADDRESS:PORT`. With TLS, `ca_pem` are certificates to trust."""

    registry: str
    repository: str
    tag: str
    has_tls: bool = False
    ca_pem: str = ""


@dataclass(frozen=True, slots=True)
class NodeUpdates:
    """The overlay's part for updates. None: it has no source, or no script that reports to this URL."""

    source: UpdateSource | None = None
    report_url: str | None = None


NO_UPDATES: Final = NodeUpdates()


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of the overlay."""

    path: str
    text: str
    mode: int


def update_files(engine: Engine, host: Host, updates: NodeUpdates, *, anchors: str) -> list[WrittenFile]:
    """Return the files; `anchors` is the directory of CAs that the node trusts. Raises RenderError."""
    found = []
    if (source := updates.source) is not None:
        text = _UPDATE_YAML.format(image=f"{source.registry}/{source.repository}", tag=source.tag)
        found.append(WrittenFile(UPDATE_CONFIG, text, 0o400))
        if not source.has_tls:
            insecure = engine.render("ignition/updates.conf.j2", subject=host.name, context={"source": source})
            found.append(WrittenFile(REGISTRY_CONFIG, insecure, 0o644))
        elif source.ca_pem:
            found.append(WrittenFile(f"{anchors}/{CA_ANCHOR}", source.ca_pem, 0o644))
    if updates.report_url is not None:
        context = {"report_url": updates.report_url}
        script = engine.render("ignition/report-updates.sh.j2", subject=host.name, context=context)
        found.append(WrittenFile(SCRIPT, script, 0o700))
    return found


def update_units(engine: Engine, host: Host, updates: NodeUpdates) -> dict[str, str]:
    """Return the units by name; raise RenderError."""
    if updates.report_url is None:
        return {}
    return {name: engine.render(f"ignition/{name}.j2", subject=host.name, context={"host": host}) for name in UNITS}
