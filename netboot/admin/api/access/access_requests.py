"""What the requests about users and API tokens have in their body."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from netboot.admin.api.request_models import RequestModel
from netboot.operate.access.api_tokens import DEFAULT_LIFE, LONGEST_LIFE

_LONGEST_S: Final = int(LONGEST_LIFE.total_seconds())

Name = Annotated[str, Field(description="a text")]
Role = Annotated[Literal["admin", "read-only"], Field(description="admin or read-only")]
Password = Annotated[str, Field(description="a text of 12 to 256 characters", json_schema_extra={"format": "password"})]


class AddUserBody(RequestModel):
    """A user to add."""

    name: Name
    role: Role
    password: Password


class EditUserBody(RequestModel):
    """What to change of a user; without a field it stays."""

    role: Annotated[Literal["admin", "read-only"] | None, Field(description="admin or read-only")] = None
    password: Annotated[str | None, Field(description="a text of 12 to 256 characters")] = None


class CreateTokenBody(RequestModel):
    """An API token to make; without `expires_in_s` it expires after 90 days."""

    name: Name
    role: Role
    expires_in_s: Annotated[
        Annotated[int, Field(ge=60, le=_LONGEST_S)] | None,
        Field(description=f"a whole number of seconds from 60 to {_LONGEST_S}, or null: it does not expire"),
    ] = int(DEFAULT_LIFE.total_seconds())

    @property
    def life(self) -> timedelta | None:
        return timedelta(seconds=self.expires_in_s) if self.expires_in_s is not None else None
