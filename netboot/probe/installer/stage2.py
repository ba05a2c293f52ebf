"""Fetches stage 2 as Anaconda's part of dracut does: `.treeinfo`, the image, then updates.img and product.img.

Source: anaconda dracut/anaconda-lib.sh (`anaconda_net_root`), dracut 45url-lib/url-lib.sh: curl, which reads each file
from its beginning, without Range. dracut reads only `[stage2] mainimage`; a checksum in the file is verified here too.
"""

import configparser
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.http.http_client import HttpAnswer, HttpClient
from netboot.probe.machine_timeline import MachineTimeline

_USUAL_IMAGE: Final = "images/install.img"
_OTHER_IMAGE: Final = "LiveOS/squashfs.img"
_EXTRA: Final = ("images/updates.img", "images/product.img")  # most media have neither
_CHECKSUM: Final = re.compile(r"sha256:([0-9a-f]{64})")
_HEAD_BYTES: Final = 96


class ImageHead:
    """Keeps the first bytes of an image: the superblock of a squashfs has its size (squashfs 4.0, `bytes_used`)."""

    def __init__(self) -> None:
        self._head = bytearray()

    def write(self, data: bytes) -> None:
        """Add the next bytes of the image."""
        if len(self._head) < _HEAD_BYTES:
            self._head += data[: _HEAD_BYTES - len(self._head)]

    def fault(self, size_bytes: int) -> str | None:
        """Return why dracut could not mount an image of this size; None if it could, or the format is another one."""
        if not size_bytes:
            return "it is empty"
        if self._head[:4] != b"hsqs":
            return None
        used = int.from_bytes(self._head[40:48], "little")
        return f"its superblock states {used} bytes, and it has {size_bytes}" if used > size_bytes else None


@dataclass(frozen=True, slots=True)
class Stage2:
    """Stage 2 below the directory `url`, fetched with Anaconda's `headers`."""

    curl: HttpClient
    headers: tuple[tuple[str, str], ...]
    url: str
    timeline: MachineTimeline

    async def fetch(self) -> None:
        """Fetch all of it; raise BootFailedError with what dracut does then."""
        wanted, checksums = await self._treeinfo()
        for name in dict.fromkeys((wanted or _USUAL_IMAGE, _OTHER_IMAGE)):
            if await self._image(name, checksums.get(name)):
                break
        else:
            raise self._failure("dracut: anaconda: failed to fetch stage2; after 180 s it starts its emergency shell")
        for name in _EXTRA:
            answer = await self._get(name)
            if answer.status == 200:
                text = f"{name}, which is unpacked over the installer"
                self.timeline.add(Step.STAGE2, text, size_bytes=answer.size_bytes)

    async def _treeinfo(self) -> tuple[str | None, Mapping[str, str]]:
        """Read the image's name and the checksums; nothing if there is no .treeinfo, which is a warning only."""
        answer = await self._get(".treeinfo")
        if answer.status != 200:
            self.timeline.add(Step.STAGE2, f".treeinfo: status {answer.status}; {_USUAL_IMAGE} is requested")
            return None, {}
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of files
        try:
            parser.read_string(answer.body.decode("utf-8", "replace"))
        except configparser.Error:
            self.timeline.add(Step.STAGE2, f".treeinfo cannot be read; {_USUAL_IMAGE} is requested")
            return None, {}
        self.timeline.add(Step.STAGE2, ".treeinfo", size_bytes=answer.size_bytes)
        sums = dict(parser["checksums"]) if parser.has_section("checksums") else {}
        found = {name: match[1] for name, value in sums.items() if (match := _CHECKSUM.fullmatch(value.strip()))}
        return parser.get("stage2", "mainimage", fallback=None), found

    async def _image(self, name: str, sha256: str | None) -> bool:
        """Fetch an image and verify it; False: the server does not have it."""
        began_s, head = self.timeline.now_s, ImageHead()
        answer = await self._get(name, head.write)
        if answer.status != 200:
            self.timeline.add(Step.STAGE2, f"{name}: status {answer.status}")
            return False
        if sha256 is not None and answer.sha256 != sha256:
            received = answer.sha256[:12]
            raise self._failure(f"{name} is damaged: .treeinfo states sha256 {sha256[:12]}, received was {received}")
        if fault := head.fault(answer.size_bytes):
            raise self._failure(f"dracut cannot mount {name} (wrong fs type, bad superblock): {fault}")
        text = f"{name}, sha256 {answer.sha256[:12]}"
        self.timeline.add(Step.STAGE2, text, size_bytes=answer.size_bytes, since_s=began_s)
        return True

    async def _get(self, name: str, sink: Callable[[bytes], object] | None = None) -> HttpAnswer:
        url = f"{self.url.removesuffix('/')}/{name}"
        return await self.curl.get(url, step=Step.STAGE2, sink=sink, headers=self.headers, any_status=True)

    def _failure(self, sentence: str) -> BootFailedError:
        cure = "netboot content verify; import the medium again if it is damaged"
        return BootFailedError(Step.STAGE2, sentence, cure=cure, evidence=(self.url,))
