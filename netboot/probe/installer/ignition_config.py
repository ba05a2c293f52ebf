"""Fetches a configuration as Ignition does, with all that it merges or is replaced by, and the files that it names.

Sources: coreos/ignition v2.16.2, internal/exec/engine.go, internal/resource/{http,url}.go (ocne.md §5). A reply of 500
and above, and a connection that fails, are repeated with a back-off, for two minutes; children are repeated without
limit, here for ten minutes. Every other status than 200 is final. An empty document is an empty configuration.
"""

import asyncio
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from netboot.ignition.check import read_ignition
from netboot.ignition.merging import rendered
from netboot.ignition.resource import content_of
from netboot.ignition.schema import Json
from netboot.model.install.event import Step
from netboot.model.urls import without_tokens_in_paths
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import FileReader
from netboot.probe.http.agents import IGNITION, HttpAgent
from netboot.probe.http.http_client import HttpClient

IGNITION_CLIENT: Final[HttpAgent] = replace(IGNITION, waits_s=())  # what it repeats is below
_FIRST_LIMIT_S: Final = 120.0
_CHILD_LIMIT_S: Final = 600.0
_LONGEST_PAUSE_S: Final = 5.0
_DEEPEST: Final = 8
_MOST_RESOURCES: Final = 256
_LARGEST: Final = 64 << 20
_NEWEST_MINOR: Final = 4  # of Ignition 2.16, which OCK 1.33 has
_HASHES: Final = ("sha512", "sha256")


@dataclass(slots=True)
class IgnitionConfig:
    """The configuration of one first boot."""

    machine: FileReader
    client: HttpClient
    resources: int = 0
    _fetched: dict[str, Json] = field(default_factory=dict, repr=False)  # by source

    async def fetch(self, url: str) -> Json:
        """Fetch the first configuration by its URL, and merge; raise BootFailedError with what the console shows."""
        return await self.merge(await self._download(url, (), limit_s=_FIRST_LIMIT_S, what="the config"))

    async def merge(self, data: bytes) -> Json:
        """Return what a configuration is with all that it names; verify the files that it fetches."""
        config = _parsed(data, "the config")
        await self._fetch_children(config, depth=1)
        merged = rendered(config, lambda resource: self._fetched.get(resource.get("source", "")))
        merged["ignition"] = {name: value for name, value in merged["ignition"].items() if name != "config"}
        _parsed(json.dumps(merged).encode(), "the merged config")
        for path, resource in _contents(merged):
            await self._verify_file(path, resource)
        return merged

    async def _fetch_children(self, config: Json, *, depth: int) -> None:
        named = config.get("ignition", {}).get("config", {})
        replacement = named.get("replace", {})
        children = [replacement] if replacement.get("source") else named.get("merge", [])
        for resource in children:
            if depth > _DEEPEST or self.resources >= _MOST_RESOURCES:
                raise _failure("the configurations refer to each other without end", "correct ignition.config")
            content = await self._content(resource, what="a merged config")
            child = _parsed(content, "a merged config")
            self._fetched[resource.get("source", "")] = child
            await self._fetch_children(child, depth=depth + 1)

    async def _verify_file(self, path: str, resource: Json) -> None:
        source = resource.get("source") or ""
        if source.startswith(("data:", "http:")):
            await self._content(resource, what=path)
        elif source:
            text = f"note: {path} is fetched from {source.partition(':')[0]}:…, which is not tried here"
            self.machine.timeline.add(Step.IGNITION, text)

    async def _content(self, resource: Json, *, what: str) -> bytes:
        """Return the verified content of a resource; raise BootFailedError."""
        source = resource.get("source") or ""
        self.resources += 1
        if source.startswith("data:"):
            content = content_of(resource)
            if content is None:
                raise _failure(f"{what}: its data: URL, compression or hash is wrong", "write the file again")
            return content
        headers = tuple((each["name"], each.get("value", "")) for each in resource.get("httpHeaders", []))
        began_s = self.machine.timeline.now_s
        data = await self._download(source, headers, limit_s=_CHILD_LIMIT_S, what=what)
        if resource.get("compression") == "gzip":
            data = _unpacked(data, what)
        _verify_hash(data, resource.get("verification", {}).get("hash"), what)
        digest = hashlib.sha256(data).hexdigest()[:12]
        has_hash = "hash verified" if resource.get("verification", {}).get("hash") else "without a hash"
        text = f"{what} {_shown(source)}, {has_hash}, sha256 {digest}"
        self.machine.timeline.add(Step.IGNITION, text, size_bytes=len(data), since_s=began_s)
        return data

    async def _download(self, url: str, headers: tuple[tuple[str, str], ...], *, limit_s: float, what: str) -> bytes:
        """Fetch a document; raise BootFailedError for what Ignition does not repeat, or at the end of the time."""
        began_s, pause_s, problem = self.machine.timeline.now_s, 0.2, ""
        while True:
            content = _Bounded()
            try:
                answer = await self.client.get(
                    url, step=Step.IGNITION, sink=content.write, headers=headers, any_status=True
                )
            except BootFailedError as error:
                if self.machine.behaviour.aborts_at is error.step:  # it is switched off
                    raise
                problem = error.sentence
            else:
                if answer.status == 200 and "content-encoding" in answer.headers:
                    raise _failure(f"{what}: config is not valid: it came packed", "the server must not compress it")
                if answer.status < 500:
                    return _accepted(answer.status, bytes(content.data), what=f"{what} {_shown(url)}")
                problem = f"server responded with status {answer.status}"
            if self.machine.timeline.now_s - began_s + pause_s > limit_s:
                raise _failure(
                    f"{what}: unable to fetch resource in time: {problem}",
                    "netboot install show HOST: a part is missing",
                )
            self.machine.timeline.add(Step.IGNITION, f"{what}: {problem}; requested again in {pause_s:.1f} s")
            await asyncio.sleep(self.machine.behaviour.wait_s(pause_s))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


class _Bounded:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > _LARGEST:
            raise _failure(
                "a resource has more than 64 MiB, which an initramfs cannot hold", "serve large files elsewhere"
            )


def _accepted(status: int, data: bytes, *, what: str) -> bytes:
    if status == 204 or (status == 200 and not data.strip()):
        raise _failure(
            f"{what} is empty (HTTP {status}): Ignition takes it as an empty config, and the node boots unconfigured",
            "the server must answer 503 until it has the document",
        )
    if status != 200:
        raise _failure(
            f"{what}: server responded with non-OK status {status}",
            "netboot install show HOST: the token may be spent, or the address another one's",
        )
    return data


def _parsed(data: bytes, what: str) -> Json:
    """Read a configuration; raise BootFailedError for what Ignition 2.16 refuses."""
    found = read_ignition(data)
    if found.problems:
        problem = found.problems[0]
        raise _failure(f"{what}: config is not valid: {problem}", "netboot check reads the role's file")
    if int(found.version.split(".")[1]) > _NEWEST_MINOR:
        raise _failure(f"{what}: unsupported config version {found.version}", "OCK 1.33 reads up to 3.4.0")
    return found.config


def _contents(config: Json) -> Iterator[tuple[str, Json]]:
    """Yield path and resource of all contents of a configuration's files."""
    for file in config.get("storage", {}).get("files", []):
        for resource in (file.get("contents", {}), *file.get("append", [])):
            yield file.get("path", ""), resource


def _unpacked(data: bytes, what: str) -> bytes:
    unpack = zlib.decompressobj(wbits=31)
    try:
        content = unpack.decompress(data, _LARGEST)
    except zlib.error as error:
        raise _failure(
            f"{what}: gzip: invalid header or data", "compression states gzip, and the content is not"
        ) from error
    if not unpack.eof:
        raise _failure(f"{what}: gzip: unexpected EOF, or more than 64 MiB", "write the file again")
    return content


def _verify_hash(data: bytes, given: str | None, what: str) -> None:
    if given is None:
        return
    name, _, expected = given.partition("-")
    if name not in _HASHES:
        raise _failure(f"{what}: unsupported hash type {name}", "write sha512-HEX or sha256-HEX")
    actual = hashlib.new(name, data).hexdigest()
    if actual != expected.lower():
        raise BootFailedError(
            Step.IGNITION,
            f"Ignition stops in emergency.target: {what}: hash verification failed",
            cure="the wrapper and its parts are of different requests, or something between changes them",
            evidence=(f"{name} expected {expected[:16]}…, received {actual[:16]}…, {len(data)} bytes",),
        )


def _shown(url: str) -> str:
    """Return where a document came from, without token, user or query."""
    return without_tokens_in_paths(url.partition("?")[0].rpartition("@")[2]) if url.startswith("http") else "data:"


def _failure(shown: str, cure: str) -> BootFailedError:
    return BootFailedError(Step.IGNITION, f"Ignition stops in emergency.target: {shown}", cure=cure)
