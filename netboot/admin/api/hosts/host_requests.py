"""What the requests about hosts, machines and installs have in their query or body."""

from typing import Annotated, Any, Final, Self

from pydantic import Field, RootModel, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from netboot.admin.api.request_models import FaultSentence, RequestModel
from netboot.model.install.install import MOST_ATTEMPTS
from netboot.operate.selection import HostSelection

_APPROVED: Final = "macs is a list of MACs, one at least, and role is the role of the hosts"
_ADDED: Final = FaultSentence("name is a text, and values is an object of the host's keys")
_SELECTED: Final = FaultSentence("role is a text, and labels is an object of texts")
_TEXTS: Final = FaultSentence("role, name, pool are texts", _APPROVED)

Name = Annotated[str, StringConstraints(min_length=1)]
Names = Annotated[list[Name], Field(min_length=1, description="a list of names, one at least")]
Reason = Annotated[str, Field(description="a text: it is stored with the change")]
Force = Annotated[bool, Field(description="true or false")]
Attempts = Annotated[
    Annotated[int, Field(ge=1, le=MOST_ATTEMPTS)] | None, Field(description=f"a whole number from 1 to {MOST_ATTEMPTS}")
]


class ArmBody(RequestModel):
    """An arming; without `attempts` the setting `install.attempts` applies."""

    reason: Reason = ""
    attempts: Attempts = None
    force: Force = False


class CancelBody(RequestModel):
    reason: Reason = ""


class ConfirmBody(RequestModel):
    """A confirmation; `hold` is the id of the hold that was read, so that no other one is confirmed."""

    hold: Annotated[str | None, Field(description="the id of a hold, as the install has it")] = None
    reason: Reason = ""


class SelectingBody(RequestModel):
    """Hosts by their names, or by role and labels."""

    hosts: list[Name] = Field(default_factory=list, description="a list of names, one at least")
    role: Annotated[str | None, _SELECTED] = None
    labels: Annotated[dict[str, str] | None, _SELECTED] = None

    @property
    def selection(self) -> HostSelection:
        return HostSelection(self.role, self.labels or {})

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.hosts and not self.selection.is_all:
            text = "hosts names the hosts, or role and labels select them; give one of the two"
            raise PydanticCustomError("both", "{text}", {"text": text})
        if not self.hosts and self.selection.is_all:
            raise PydanticCustomError("none", "hosts is a list of names, one at least")
        return self


class ArmAllBody(SelectingBody):
    """An arming of several hosts: of all of them, or of none."""

    reason: Reason = ""
    attempts: Attempts = None
    force: Force = False


class CancelAllBody(SelectingBody):
    reason: Reason = ""


class AddBody(RequestModel):
    """A host to declare; `values` are its keys as its file has them."""

    name: Annotated[str, _ADDED]
    values: Annotated[dict[str, Any], _ADDED]


class HostPatch(RootModel[dict[str, Any]]):
    """A JSON merge patch (RFC 7396) of the values of a host; null removes a key."""


class RetireBody(RequestModel):
    """`wipe` repeats the name of the host: then its disk is wiped at its next boot."""

    reason: Reason = ""
    force: Force = False
    wipe: Annotated[Any, WithJsonSchema({"type": ["string", "null"]})] = None  # compared with the name in the path


class RemoveQuery(RequestModel):
    reason: Reason = ""
    force: Annotated[bool, Field(description="0 or 1: also while its install runs")] = False


class ApproveBody(RequestModel):
    """Unregistered machines to declare as hosts, all or none. `name`: a pattern such as `worker-{n}`."""

    macs: Annotated[list[str], Field(min_length=1), FaultSentence("macs is a list of texts", _APPROVED)]
    addresses: list[str] = Field(default_factory=list, description="a list of texts")
    groups: list[str] = Field(default_factory=list, description="a list of texts")
    role: Annotated[Name, _TEXTS]
    name: Annotated[str | None, _TEXTS] = None
    pool: Annotated[str | None, _TEXTS] = None
    disk: Annotated[str | dict[str, Any] | None, Field(description="a text, or an object as a host has it")] = None
    boot_card_only: Annotated[bool, Field(description="true or false")] = False
    dry_run: Annotated[bool, Field(description="true or false")] = False


class InspectBody(RequestModel):
    machine: Annotated[Name, Field(description="the name of a host, or a MAC")]


class RescueBody(RequestModel):
    """Hosts that boot the rescue mode once, all or none."""

    hosts: Names
    medium: Annotated[Name | None, Field(description="the name of a boot medium")] = None


class HostsBody(RequestModel):
    hosts: Names
