"""Errors of the API as JSON, each with its HTTP status."""

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from netboot.admin.json_views import error_view, http_error_view
from netboot.boot_records.record_files import NoRecordError
from netboot.content.library.disk import http_status
from netboot.content.library.uploads import UploadError
from netboot.errors import (
    ConfigError,
    ContentError,
    HostFileError,
    HostsNotWritableError,
    InspectionRefusedError,
    NetbootError,
    RescueRefusedError,
    RoleFileError,
    StoreError,
    TransitionError,
    UnknownHookError,
    UnknownHostError,
    WipeRefusedError,
)
from netboot.operate.arming import ArmingRefusedError
from netboot.operate.boots.boot_history import NoBootError

log = structlog.get_logger()


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.json_response(http_error_view(error.text, error.status), status=error.status)
    except NetbootError as error:
        return web.json_response(error_view(error), status=status_of(error))
    except ConnectionError:
        raise  # the client closed the connection
    except OSError as error:  # of this appliance, not of the request
        log.error("api.failed", path=request.path, reason=str(error))
        status = http_status(error)
        return web.json_response(http_error_view(f"cannot do it now: {error}", status), status=status)


def status_of(error: NetbootError) -> int:
    """Return the HTTP status of an error."""
    match error:
        case UnknownHostError() | UnknownHookError() | NoRecordError() | NoBootError():
            return 404
        case TransitionError() | ArmingRefusedError() | HostFileError():
            return 409
        case InspectionRefusedError() | RescueRefusedError() | WipeRefusedError():
            return 409
        case ConfigError() | RoleFileError():
            return 422
        case StoreError():
            return 503
        case UploadError():
            return error.status
        case ContentError() | HostsNotWritableError():
            return http_status(error.__cause__)
        case _:
            return 500
