"""What the importers return: hosts, the cluster and shared values as the hosts files have them.

Each value keeps its place in the imported file, so that a fault of it names that file and line.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from netboot.model.host.host import Role
from netboot.yamlfile.faults import Faults, Place, shown
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table, TableEntry


@dataclass(frozen=True, slots=True)
class ImportedHost:
    """One machine. `notes` list what was not taken over, and why."""

    name: Scalar
    mac: Scalar
    role: Role | None = None
    groups: tuple[str, ...] = ()
    labels: Mapping[str, Node] = field(default_factory=dict)
    disk: Node | None = None  # a path, or a table of what the disk must have
    bmc: Node | None = None  # a URL, or a table
    source: str = ""  # the object that describes it: `BareMetalHost metal3/rack1-node07`
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        """Return its values as the hosts files have them, in the order of the documentation."""
        place = self.name.place
        values: dict[str, Node | None] = {
            "role": text(place, self.role) if self.role else None,
            "mac": self.mac,
            "groups": Listing(place, tuple(text(place, name) for name in self.groups)) if self.groups else None,
            "labels": table(place, self.labels) if self.labels else None,
            "disk": self.disk,
            "bmc": self.bmc,
        }
        return table(place, {key: value for key, value in values.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Imported:
    """What several objects describe together."""

    hosts: Sequence[ImportedHost] = ()
    clusters: Sequence[Scalar] = ()  # the name of the cluster, as each object has it
    byo: Scalar | None = None  # the path of a byo.yaml
    roles: Mapping[str, Node] = field(default_factory=dict)
    groups: Mapping[str, Node] = field(default_factory=dict)
    pools: Mapping[str, Node] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @classmethod
    def together(cls, parts: Iterable["Imported"]) -> "Imported":
        """Join the results of several formats."""
        every = tuple(parts)
        return cls(
            hosts=[host for part in every for host in part.hosts],
            clusters=[name for part in every for name in part.clusters],
            byo=next((part.byo for part in every if part.byo), None),
            roles={name: values for part in every for name, values in part.roles.items()},
            groups={name: values for part in every for name, values in part.groups.items()},
            pools={name: values for part in every for name, values in part.pools.items()},
            notes=[note for part in every for note in part.notes],
        )

    @property
    def is_empty(self) -> bool:
        return not (self.hosts or self.clusters or self.pools)

    def document(self) -> Table:
        """Return the sections of a hosts file, in the order of the documentation."""
        place = Place("")
        facts = {"name": next(iter(self.clusters), None), "byo": self.byo}
        cluster = {key: value for key, value in facts.items() if value is not None}
        hosts = {host.name.text: TableEntry(host.name, host.table()) for host in self.hosts}
        sections: dict[str, Node] = {
            "cluster": table(place, cluster),
            "roles": table(place, self.roles),
            "groups": table(place, self.groups),
            "address_pools": table(place, self.pools),
            "hosts": Table(place, hosts),
        }
        return table(place, {name: each for name, each in sections.items() if isinstance(each, Table) and each.entries})

    def check(self, faults: Faults) -> None:
        """Refuse two clusters, two hosts of one name, and a host without a role."""
        for name in self.clusters[1:]:
            first = self.clusters[0]
            if name.text != first.text:
                what = f"is of the cluster {shown(name.text)}, and {first.place} of {shown(first.text)}"
                faults.add(name.place, "cluster.name", what=what, cure="import the files of one cluster")
        without_role = [host for host in self.hosts if host.role is None]
        if without_role:
            first_host, *others = without_role
            what = f"has no role in this file{f', nor have {len(others)} other hosts' if others else ''}"
            cure = "give the role of such hosts: --role control-plane or --role worker"
            faults.add(first_host.name.place, f"hosts.{_key(first_host)}", what=what, cure=cure)
        first_of: dict[str, Scalar] = {}
        for host in self.hosts:
            first = first_of.setdefault(host.name.text, host.name)
            if first is not host.name:
                what = f"is there already ({first.place})"
                faults.add(
                    host.name.place, f"hosts.{_key(host)}", what=what, cure="give each machine a name of its own"
                )


def text(place: Place, value: str) -> Scalar:
    """Make a value that the imported file does not have."""
    return Scalar(place, str(value), plain=False)  # a StrEnum is no text for YAML


def table(place: Place, values: Mapping[str, Node]) -> Table:
    """Make a table of values; a name that the imported file does not have is where its value is."""
    return Table(place, {str(name): TableEntry(text(value.place, name), value) for name, value in values.items()})


def _key(host: ImportedHost) -> str:
    return host.name.text if host.name.text.isprintable() else shown(host.name.text)
