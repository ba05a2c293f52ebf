"""The Kubernetes cluster that the hosts make up."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cluster:
    """Its name, and the node that starts it with the role's `init` Ignition; the others join."""

    name: str
    init: str | None = None  # the name of a host
