"""What the requests about boots, logs and captures have in their path and query."""

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from netboot.admin.api.request_models import RequestModel

WHICH: Final = "a whole number: 0 is the last boot, -1 the one before, 1 the first"

BootNumber = Annotated[str, StringConstraints(pattern="^-?[0-9]{1,6}$"), Field(description=WHICH)]
_NUMBER: Final = TypeAdapter(BootNumber)


class CaptureQuery(RequestModel):
    boot: BootNumber = "0"


class LogQuery(RequestModel):
    """Which boot, and whether later lines and boots are sent as they come."""

    boot: BootNumber = "0"
    follow: Annotated[bool, Field(description="0 or 1: 0 ends after the last stored line")] = True
    offset: Annotated[str, StringConstraints(pattern="^[0-9]{1,12}$"), Field(description="a number of bytes")] = "0"


def boot_in_path(request: web.Request) -> int:
    """Read which boot the path of a request names; raise HTTPBadRequest."""
    try:
        return int(_NUMBER.validate_python(request.match_info["boot"]))
    except ValidationError:
        raise web.HTTPBadRequest(text=f"boot is {WHICH}") from None
