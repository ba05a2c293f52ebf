"""Errors of the API as problem+json (RFC 9457), each with its HTTP status.

Beside the members of the RFC a problem has `error` and `code`, as `--json` of the commands.
"""

from collections.abc import Mapping
from typing import (
    Any,
    Final,
    NotRequired,  # pydantic needs this one before Python 3.12
)

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from typing_extensions import TypedDict

from netboot.admin.json_views import error_view, http_error_view, json_text
from netboot.boot_records.record_files import NoRecordError
from netboot.content.library.disk import http_status
from netboot.content.library.library import InvalidNameError, LibraryBusyError, NameUsedError, UnknownContentError
from netboot.content.library.uploads import UploadError
from netboot.errors import (
    AccountRefusedError,
    BmcError,
    BmcRefusedError,
    ConfigError,
    ContentError,
    HostFileError,
    HostsNotWritableError,
    InspectionRefusedError,
    LoginLimitedError,
    LoginRefusedError,
    NetbootError,
    RescueRefusedError,
    RoleFileError,
    RolloutError,
    StoreError,
    TransitionError,
    UnknownAccountError,
    UnknownHookError,
    UnknownHostError,
    UnknownIntentError,
    UnknownRolloutError,
    WipeRefusedError,
)
from netboot.operate.arming import ArmingRefusedError
from netboot.operate.boots.boot_history import NoBootError
from netboot.operate.content.content_changes import ContentRefusedError
from netboot.operate.content.verifications import UnknownVerificationError
from netboot.operate.power.power_request import PowerRefusedError

log = structlog.get_logger()

PROBLEM_JSON: Final = "application/problem+json"
OPENAPI_PATH: Final = "/api/v1/openapi.json"
PROBLEMS_MEMBER: Final = "x-problems"  # of the description of the API, with what each code means

_OF_THE_BODY: Final = frozenset({hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH})
_STATUSES: Final[Mapping[type[NetbootError], int]] = {
    UnknownHostError: 404,
    UnknownIntentError: 404,
    UnknownRolloutError: 404,
    UnknownAccountError: 404,
    AccountRefusedError: 409,
    LoginRefusedError: 401,
    LoginLimitedError: 429,
    UnknownContentError: 404,
    UnknownVerificationError: 404,
    LibraryBusyError: 409,
    NameUsedError: 409,
    InvalidNameError: 400,
    ContentRefusedError: 409,
    UnknownHookError: 404,
    NoRecordError: 404,
    NoBootError: 404,
    TransitionError: 409,
    ArmingRefusedError: 409,
    PowerRefusedError: 409,
    BmcRefusedError: 409,
    BmcError: 502,
    HostFileError: 409,
    InspectionRefusedError: 409,
    RescueRefusedError: 409,
    WipeRefusedError: 409,
    ConfigError: 422,
    RoleFileError: 422,
    RolloutError: 409,
    StoreError: 503,
}


class FileFault(TypedDict):
    """One fault of a configuration file; `where` is the path of the object in it."""

    file: str
    line: int
    column: int
    where: str
    what: str
    cure: str


class ProblemView(TypedDict):
    """An error. A program decides by `code`; `error`, and `detail`, are the text for a person, which may change."""

    error: str
    code: str
    type: str
    title: str
    status: int
    detail: str
    instance: str
    faults: NotRequired[list[FileFault]]
    reasons: NotRequired[list[str]]
    hosts: NotRequired[dict[str, list[str]]]


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:  # to another page
            raise
        answer = _problem(request, http_error_view(error.text, error.status), error.status, is_of_http=True)
        answer.headers.update({name: text for name, text in error.headers.items() if name not in _OF_THE_BODY})
        return answer
    except UploadError as error:
        return _problem(request, error_view(error), error.status, is_of_http=True)
    except NetbootError as error:
        return _problem(request, error_view(error), status_of(error))
    except ConnectionError:
        raise  # the client closed the connection
    except OSError as error:  # of this appliance, not of the request
        log.error("api.failed", path=request.path, reason=str(error))
        status = http_status(error)
        return _problem(request, http_error_view(f"cannot do it now: {error}", status), status, is_of_http=True)


def _problem(request: web.Request, view: Mapping[str, Any], status: int, *, is_of_http: bool = False) -> web.Response:
    """Answer with a problem; one that has no meaning beyond its HTTP status has no type (RFC 9457, 4.2.1)."""
    code = view["code"]
    members = {
        "type": "about:blank" if is_of_http else problem_type(code),
        "title": problem_title(code).title() if is_of_http else problem_title(code),
        "status": status,
        "detail": view["error"],
        "instance": request.rel_url.raw_path,
    }
    return web.json_response(text=json_text({**view, **members}), status=status, content_type=PROBLEM_JSON)


def problem_type(code: str) -> str:
    """Return the URI reference of a type of problem: its place in the description of the API."""
    return f"{OPENAPI_PATH}#/{PROBLEMS_MEMBER}/{code}"


def problem_title(code: str) -> str:
    return code.replace("-", " ").capitalize()


def statuses_of(error: type[NetbootError]) -> tuple[int, ...]:
    """Return the HTTP statuses that errors of a class can have."""
    found = next((_STATUSES[each] for each in error.__mro__ if each in _STATUSES), None)
    if found is not None:
        return (found,)
    return (500, 503, 507) if issubclass(error, ContentError | HostsNotWritableError) else (500,)


def status_of(error: NetbootError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, UploadError):
        return error.status
    statuses = statuses_of(type(error))
    return statuses[0] if len(statuses) == 1 else http_status(error.__cause__)
