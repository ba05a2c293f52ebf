"""The answers of the registry that are no file: errors as OCI distribution-spec v1.1, "Error Codes", has them. Pure."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from netboot.content.serving.image_index import API_VERSION, ImageFault
from netboot.serve.static_http.conditional import WITHHELD_RETRY, FileAnswer

F = ImageFault
_ANSWERS: Final[Mapping[ImageFault, tuple[HTTPStatus, str]]] = {
    F.NAME_INVALID: (HTTPStatus.BAD_REQUEST, "invalid repository name"),
    F.NAME_UNKNOWN: (HTTPStatus.NOT_FOUND, "repository name not known to registry"),
    F.MANIFEST_UNKNOWN: (HTTPStatus.NOT_FOUND, "manifest unknown"),
    F.BLOB_UNKNOWN: (HTTPStatus.NOT_FOUND, "blob unknown to registry"),
}


def registry_error(status: HTTPStatus, code: str, message: str, *fields: tuple[str, str]) -> FileAnswer:
    """Answer with a status and one error."""
    text = json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}).encode()
    about = (("Content-Type", "application/json"), ("Content-Length", str(len(text))), API_VERSION)
    return FileAnswer(status, (*about, *fields), text=text)


def registry_refusal(fault: ImageFault) -> FileAnswer:
    """Answer that the registry has not what was requested."""
    return _REFUSALS[fault]


_REFUSALS: Final = {fault: registry_error(status, fault, why) for fault, (status, why) in _ANSWERS.items()}
UNSUPPORTED: Final = registry_error(
    HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry is read only", ("Allow", "GET, HEAD")
)
UNREADABLE: Final = registry_error(
    HTTPStatus.INTERNAL_SERVER_ERROR, "UNKNOWN", "the file cannot be read; the reason is in netboot's log"
)
WITHHELD_BLOB: Final = registry_error(
    HTTPStatus.SERVICE_UNAVAILABLE, "UNKNOWN", "the file is damaged and is repaired first", WITHHELD_RETRY
)
