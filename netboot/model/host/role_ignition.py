"""An Ignition file that `ocne` printed: its use, what it has of the cluster, and when its secrets end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final


class RoleUse(StrEnum):
    """What a node does at its first boot with a file."""

    INIT = "init"
    CONTROL_PLANE = "control-plane"
    WORKER = "worker"
    JOIN = "join"  # it joins; without kubeadm.conf its role is not known


class SecretKind(StrEnum):
    """A secret that a cluster forgets. The values are its names in messages."""

    BOOTSTRAP = "bootstrap token"
    CERTIFICATE_KEY = "certificate key"


# kubeadm 1.33: DefaultTokenDuration, DefaultCertTokenDuration
LIFETIMES: Final[Mapping[SecretKind, timedelta]] = {
    SecretKind.BOOTSTRAP: timedelta(hours=24),
    SecretKind.CERTIFICATE_KEY: timedelta(hours=2),
}


@dataclass(frozen=True, slots=True)
class RoleFile:
    """What a file has of the cluster; None or empty for what it does not have. It holds no secret."""

    use: RoleUse | None = None
    authorities: tuple[str, ...] = ()  # SHA-256 of the public key of each CA, in hex: the cluster's identity
    endpoint: str | None = None  # of the API: 192.0.2.10:6443
    virtual_ip: str | None = None  # of keepalived; None: an external load balancer, or a worker's file
    interface: str | None = None  # NET_INTERFACE of ocne.service
    virtual_ip_interface: str | None = None  # of keepalived
    pod_subnet: str | None = None
    service_subnet: str | None = None
    kubernetes_version: str | None = None
    fetched_from: tuple[str, ...] = ()  # the servers of what a node fetches besides it: https://files.example.com
    secrets: Mapping[SecretKind, bytes] = field(default_factory=dict, repr=False)  # SHA-256 of each one that ends

    @property
    def virtual_ip_of_start(self) -> IPv4Address | None:
        """The address of the cluster that a node starts with this file; None if it joins one, and for IPv6."""
        try:
            return IPv4Address(self.virtual_ip or "") if self.use is RoleUse.INIT else None
        except ValueError:
            return None

    @property
    def endpoint_host(self) -> str | None:
        """The address or name of the API, without its port."""
        if self.endpoint is None:
            return None
        host, colon, port = self.endpoint.rpartition(":")
        return (host if colon and port.isdecimal() else self.endpoint).strip("[]")


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a secret of a file ends. `is_estimate`: counted from the file's modification time."""

    secret: SecretKind
    since: datetime
    at: datetime
    is_estimate: bool

    @classmethod
    def counted(cls, secret: SecretKind, since: datetime, *, is_estimate: bool) -> "Deadline":
        return cls(secret, since, since + LIFETIMES[secret], is_estimate)

    def sentence(self, file: object, use: RoleUse | None) -> str:
        """Return why a file whose secret has ended is not served, and the cure."""
        hours = LIFETIMES[self.secret] // timedelta(hours=1)
        began = "was written" if self.is_estimate else "was taken"
        flag = "-n 1" if use is RoleUse.CONTROL_PLANE else "-w 1"
        return (
            f"the {self.secret} in {file} ended at {self.at:%Y-%m-%d %H:%M} UTC, {hours} h after the file {began}; "
            f"run ocne cluster join -c byo.yaml {flag} > FILE and the commands that it prints, "
            f"then netboot cluster ignition set {use or 'ROLE'} FILE (--renewed if only the commands were run again)"
        )
