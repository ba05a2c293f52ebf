"""Fetches the archive with the first boot's Ignition as the Kickstart does (embed.ks.j2), and reads what is in it.

The kernel unpacks it: gzip around a newc cpio (Documentation/driver-api/early-userspace/buffer-format.rst); Ignition
reads `/usr/lib/ignition/user.ign` then. Neither is netboot's own reader.
"""

import asyncio
import re
import zlib
from collections.abc import Iterator
from typing import Final

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import FileReader
from netboot.probe.http.http_client import HttpClient

_USER_CONFIG: Final = "usr/lib/ignition/user.ign"
_TRIES: Final = 120
_PAUSE_S: Final = 5.0
_FINAL: Final = (403, 404, 409, 410)
_LARGEST: Final = 64 << 20  # packed or not
_HEADER_BYTES: Final = 110
_NUMBERS: Final = re.compile(rb"[0-9A-Fa-f]+")


async def fetch_archive(machine: FileReader, curl: HttpClient, url: str) -> bytes:
    """Return the Ignition in the archive; raise BootFailedError if the script would end the install."""
    timeline, problem = machine.timeline, ""
    began_s = timeline.now_s
    for _ in range(_TRIES):
        content = bytearray()

        def keep(data: bytes, content: bytearray = content) -> None:
            content += data
            if len(content) > _LARGEST:
                raise _failure(f"it has more than {_LARGEST >> 20} MiB")

        answer = await curl.get(url, step=Step.POST, sink=keep, any_status=True)
        if answer.status == 200 and answer.sha256 == answer.headers.get("x-netboot-sha256"):
            text = f"Ignition, embedded: sha256 {answer.sha256[:12]}"
            timeline.add(Step.POST, text, size_bytes=answer.size_bytes, since_s=began_s)
            return _user_config(bytes(content))
        if answer.status in _FINAL:
            raise _failure(f"the server does not allow it (HTTP {answer.status})")
        problem = "damaged: not what X-Netboot-SHA256 states" if answer.status == 200 else f"HTTP {answer.status}"
        timeline.add(Step.POST, f"Ignition to embed: {problem}; requested again in {_PAUSE_S:.0f} s")
        await asyncio.sleep(machine.behaviour.wait_s(_PAUSE_S))
    raise _failure(f"the server did not send it in {_TRIES} tries (the last one: {problem})")


def _user_config(packed: bytes) -> bytes:
    unpack = zlib.decompressobj(wbits=31)
    try:
        archive = unpack.decompress(packed, _LARGEST)
        if not unpack.eof:
            raise _failure("its archive is cut off, so the kernel unpacks none of it")
        for name, content in _members(archive):
            if name == _USER_CONFIG:
                return content
    except (zlib.error, ValueError) as error:
        raise _failure(f"the kernel cannot unpack its archive: {error}") from error
    raise _failure(f"its archive has no {_USER_CONFIG}")


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the members of a newc archive; raise ValueError for damage."""
    at = 0
    while True:
        header = archive[at : at + _HEADER_BYTES]
        if len(header) < _HEADER_BYTES or header[:6] != b"070701":
            raise ValueError(f"no header at byte {at}")
        if not _NUMBERS.fullmatch(header[6:]):  # int() takes a sign: a negative size leads back
            raise ValueError(f"the header at byte {at} has no numbers")
        size, name_size = int(header[54:62], 16), int(header[94:102], 16)
        name = archive[at + _HEADER_BYTES : at + _HEADER_BYTES + name_size].rstrip(b"\0").decode()
        start = _padded(at + _HEADER_BYTES + name_size)
        if name == "TRAILER!!!":
            return
        if start + size > len(archive):
            raise ValueError(f"{name} is cut off")
        yield name, archive[start : start + size]
        at = _padded(start + size)


def _padded(offset: int) -> int:
    return (offset + 3) // 4 * 4


def _failure(sentence: str) -> BootFailedError:
    return BootFailedError(
        Step.POST,
        f"the console shows “netboot: the Ignition cannot be embedded: {sentence}”; the first boot would have none",
        cure="netboot install show HOST; the role's Ignition file may be missing or have ended",
    )
