"""The headers of tus 1.0.0, the protocol of resumable uploads: https://tus.io/protocols/resumable-upload."""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import wraps
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from netboot.admin.api.problems import errors_as_json
from netboot.content.library.uploads import LONGEST_BYTES, Upload, UploadRequest

VERSION: Final = "1.0.0"
BODY_TYPE: Final = "application/offset+octet-stream"
CAPABILITIES: Final = {
    "Tus-Version": VERSION,
    "Tus-Extension": "creation,creation-with-upload,expiration,termination",
    "Tus-Max-Size": str(LONGEST_BYTES),
}
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_KEY: Final = re.compile(r"[!-+\--~]+")  # ASCII without space and comma


def tus(handler: Handler) -> Handler:
    """Refuse a request of another version with 412, and name our version in every answer, also of an error."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Tus-Resumable") != VERSION:
            raise web.HTTPPreconditionFailed(
                text=f"uploads use the protocol tus {VERSION}: send the header Tus-Resumable: {VERSION}"
            )
        return await handler(request)

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        answered = await errors_as_json(request, handle)
        answered.headers["Tus-Resumable"] = VERSION
        if answered.status == web.HTTPPreconditionFailed.status_code:
            answered.headers["Tus-Version"] = VERSION
        return answered

    return answer


def upload_request(headers: Mapping[str, str]) -> UploadRequest:
    """Read `Upload-Length` and `Upload-Metadata`; raise HTTPBadRequest or UploadError for an invalid one."""
    length = headers.get("Upload-Length", "")
    if not _NUMBER.fullmatch(length):
        raise web.HTTPBadRequest(text="Upload-Length must be the file's size in bytes")
    metadata = headers.get("Upload-Metadata", "")
    return UploadRequest.read(_described(metadata), int(length), metadata=metadata)


def upload_offset(headers: Mapping[str, str]) -> int:
    """Read `Upload-Offset`; raise HTTPBadRequest for an invalid one."""
    offset = headers.get("Upload-Offset", "")
    if not _NUMBER.fullmatch(offset):
        raise web.HTTPBadRequest(text="Upload-Offset is the offset of the first byte; HEAD returns the upload's offset")
    return int(offset)


def upload_headers(upload: Upload) -> dict[str, str]:
    """Describe an upload."""
    headers = {"Upload-Offset": str(upload.offset), "Upload-Length": str(upload.length), "Cache-Control": "no-store"}
    if upload.metadata:
        headers["Upload-Metadata"] = upload.metadata
    if upload.expires_at is not None and not upload.has_ended:
        headers["Upload-Expires"] = format_datetime(datetime.fromisoformat(upload.expires_at), usegmt=True)
    return headers


def _described(metadata: str) -> dict[str, str]:
    """Read pairs of a key and a value in base64, separated by commas; a key may have no value."""
    described: dict[str, str] = {}
    for pair in metadata.split(",") if metadata.strip() else ():
        key, _, value = pair.strip(" ").partition(" ")
        try:
            text = b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise _malformed(f"the value of {key!r} is not UTF-8 in base64") from None
        if not _KEY.fullmatch(key) or key in described:
            raise _malformed(f"the key {key!r} is empty, not ASCII, or written twice")
        described[key] = text
    return described


def _malformed(reason: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=f"Upload-Metadata is malformed: {reason}; it has the form kind BASE64,name BASE64")
