"""What the requests about power have in their query or body."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from netboot.admin.api.hosts.host_filters import Pair
from netboot.admin.api.hosts.host_requests import Force, SelectingBody
from netboot.admin.api.request_models import RequestModel
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.power.power import PowerAction
from netboot.operate.power.power_request import PowerRequest
from netboot.operate.selection import HostSelection

_Action = Annotated[PowerAction, BeforeValidator(PowerAction), Field(description=f"one of {', '.join(PowerAction)}")]
_Boot = Annotated[
    Annotated[NetworkBoot, BeforeValidator(NetworkBoot)] | None,
    Field(description=f"of the action pxe: one of {', '.join(NetworkBoot)}; null: as the host declares"),
]
_Text = Annotated[str, Field(min_length=1, max_length=255, description="a text of 1 to 255 characters")]


class PowerBody(RequestModel):
    """An action on the power of a host's machine."""

    action: _Action
    network_boot: _Boot = None
    force: Force = False

    def request(self, host: str) -> PowerRequest:
        """Return what is requested of a host."""
        return PowerRequest([host], self.action, self.network_boot, self.force)


class PowerAllBody(SelectingBody):
    """An action on the power of the machines of several hosts: of all of them, or of none."""

    action: _Action
    network_boot: _Boot = None
    force: Force = False

    @property
    def request(self) -> PowerRequest:
        return PowerRequest(self.hosts, self.action, self.network_boot, self.force, self.selection)


class PowerQuery(RequestModel):
    """Which hosts; of several labels all must hold."""

    role: Annotated[str | None, Field(description="the role of the hosts")] = None
    label: list[Pair] = Field(default_factory=list, description="KEY=VALUE")

    @property
    def selection(self) -> HostSelection:
        pairs = [text.partition("=") for text in self.label]
        return HostSelection(self.role, {key: text for key, _, text in pairs})


class IntentQuery(RequestModel):
    wait_s: Annotated[int, Field(ge=0, le=25, description="seconds, 0 to 25: how long its end is waited for")] = 0


class ProbeBody(RequestModel):
    """How a BMC is examined. `record`: with its answers, without secrets, as a zip archive in Base64."""

    record: Annotated[bool, Field(description="true or false")] = False


class CredentialsBody(RequestModel):
    """The user of a BMC, and its password. `url`: of the BMC; refused if the host has another one by now."""

    username: _Text
    password: _Text = Field(repr=False)
    url: _Text | None = None
