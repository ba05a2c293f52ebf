"""What the requests about boots, logs and captures have in their path and query."""

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from netboot.admin.api.paging import NumberedPageQuery, PageQuery
from netboot.admin.api.request_models import RequestModel
from netboot.model.boot.boot_record import BootEnd
from netboot.model.install.event import Step
from netboot.operate.boots.boot_history import ShownBoot

WHICH: Final = "a whole number: 0 is the last boot, -1 the one before, 1 the first"

BootNumber = Annotated[str, StringConstraints(pattern="^-?[0-9]{1,6}$"), Field(description=WHICH)]
_NUMBER: Final = TypeAdapter(BootNumber)


class RunningBootsQuery(PageQuery):
    """Which running boots are listed. The key of a page is the MAC."""

    waits_for: Annotated[Step | None, Field(description=f"a step: {', '.join(Step)}")] = None
    overdue: Annotated[bool | None, Field(description="0 or 1: whether that step is overdue")] = None

    def selects(self, found: ShownBoot) -> bool:
        """Return whether a boot is listed."""
        is_overdue = found.wait is not None and found.wait.is_overdue
        return self.waits_for in (None, found.record.waits_for) and self.overdue in (None, is_overdue)


class KeptBootsQuery(NumberedPageQuery):
    """Which kept boots of a machine are listed. The key of a page is the number."""

    end: Annotated[BootEnd | None, Field(description=f"how it ended: {', '.join(BootEnd)}")] = None

    def selects(self, found: ShownBoot) -> bool:
        """Return whether a boot is listed."""
        return self.end in (None, found.record.end)


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
