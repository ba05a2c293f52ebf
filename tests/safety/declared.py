"""The hosts files of the model: what is declared, and its text."""

from dataclasses import dataclass, replace

A1, A2, B, C, X = (f"52:54:00:aa:bb:{number:02x}" for number in range(1, 6))
CARDS = (A1, A2, B, C, X)  # X is the card of a machine that nobody registered
REGISTERED_ADDRESS = "192.0.2.101"  # of cp1; the others have what the LAN's DHCP server gives them
POOL = ("192.0.2.51", "192.0.2.52", "192.0.2.53", REGISTERED_ADDRESS)
RELEASES = ("ock-1.31-amd64", "ock-1.32-amd64")


@dataclass(frozen=True)
class Declared:
    """One host: the values to which its arming is bound, and `comment`, which has no effect."""

    name: str
    role: str
    macs: tuple[str, ...]
    disk: str = "/dev/vda"
    release: str = RELEASES[0]
    address: str | None = None
    timezone: str = "UTC"

    @property
    def target(self) -> tuple[object, ...]:
        return frozenset(self.macs), self.disk, self.release

    def text(self) -> str:
        network = f", network: {{address: {self.address}/24}}" if self.address else ""
        return (
            f"  {self.name}: {{role: {self.role}, mac: [{', '.join(self.macs)}], disk: {self.disk}, "
            f"release: {self.release}, timezone: {self.timezone}{network}}}\n"
        )


@dataclass(frozen=True)
class Hosts:
    """A hosts file. One with `fault` is refused as a whole once another was accepted."""

    hosts: tuple[Declared, ...]
    init: str = "cp1"
    fault: str = ""

    def text(self) -> str:
        return (
            f"cluster: {{name: rackone, init: {self.init}}}\n"
            "defaults: {boot_media: ol8u10-x86_64}\n"
            "roles:\n"
            "  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}\n"
            "  worker: {ignition: {join: ign/worker-join.ign}}\n"
            "hosts:\n" + "".join(host.text() for host in self.hosts) + self.fault
        )

    def get(self, name: str) -> Declared | None:
        return next((host for host in self.hosts if host.name == name), None)

    def of_card(self, mac: str) -> Declared | None:
        return next((host for host in self.hosts if mac in host.macs), None)

    def at_address(self, address: str) -> Declared | None:
        return next((host for host in self.hosts if host.address == address), None)

    def changed(self, name: str, **values: object) -> "Hosts":
        return replace(self, hosts=tuple(replace(host, **values) if host.name == name else host for host in self.hosts))

    def without(self, name: str) -> "Hosts":
        left = tuple(host for host in self.hosts if host.name != name)
        is_left = any(host.name == self.init for host in left)
        return replace(self, hosts=left, init=self.init if is_left else left[0].name)


AT_FIRST = Hosts(
    (
        Declared("cp1", "control-plane", (A1, A2), address=REGISTERED_ADDRESS),
        Declared("cp2", "control-plane", (B,)),
        Declared("w1", "worker", (C,)),
    )
)

# What an operator does to the hosts file. Each is applied to what the file holds now.
EDITS = {
    "disk": lambda now: now.changed("cp2", disk="/dev/vdb"),
    "release": lambda now: now.changed("w1", release=RELEASES[1]),
    "card": lambda now: now.changed("cp1", macs=(A2,)),
    "another card": lambda now: now.changed("cp2", macs=(X,)) if now.of_card(X) is None else now,
    "exchanged cards": lambda now: now.changed("cp2", macs=(C,)).changed("w1", macs=(B,)),
    "removed": lambda now: now.without("w1"),
    "all removed but one": lambda now: now.without("cp2").without("w1"),
    "init": lambda now: replace(now, init="cp2") if now.get("cp2") else now,
    "timezone": lambda now: now.changed("cp2", timezone="Europe/Berlin"),
    "fault": lambda now: replace(now, fault="  w9: {role: worker, mac: none}\n"),
    "as at first": lambda _now: AT_FIRST,
}
EDIT_OF = {"cp1": "card", "cp2": "disk", "w1": "removed"}  # one that ends the host's arming
