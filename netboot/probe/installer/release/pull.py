"""Pulls a release as libostree inside Anaconda does: the same requests in the same order, every object verified.

Order [measured, libostree 2022.7]: `summary.sig`, `summary`; with a summary `config` and the index of deltas, without
one `refs/heads/REF`; the delta from nothing (superblock, parts, the objects that are no part of it); else the commit
and all that it reaches. Eight requests are under way at once, or two for parts (ostree-repo-pull.c,
ostree-repo-private.h). 403, 404 and 410 mean that a file is absent. A connection that breaks is tried five times more;
a 5xx ends the pull of EL8's libostree. Nothing of the release is stored.
"""

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from netboot.content.ostree.object_check import LARGEST_METADATA
from netboot.content.ostree.repository import children
from netboot.errors import ContentError
from netboot.model.hidden import without_users
from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.installer.release.client_pool import CONNECTIONS, ClientPool
from netboot.probe.installer.release.received_object import ReceivedFile, ReceivedMetadata, expect_checksum
from netboot.probe.installer.release.static_delta import (
    LARGEST_PART,
    DeltaPart,
    Superblock,
    read_superblock,
    verify_part,
)
from netboot.probe.installer.release.summary_file import SummaryFile, read_delta_index, read_summary

_PARTS_AT_ONCE: Final = 2
_TRIES: Final = 6
_LARGEST_RELEASE: Final = 2_000_000  # objects; an Oracle Linux has about 50,000
_CHECKSUM: Final = re.compile(r"[0-9a-f]{64}")
_ABSENT: Final = (403, 404, 410)
_SHOWS: Final = "Anaconda stops with “The following error occurred while installing the payload”"


class _Receiver(Protocol):
    def write(self, data: bytes) -> None: ...


_R = TypeVar("_R", bound=_Receiver)


@dataclass(frozen=True, slots=True)
class PulledRelease:
    """What a pull was: `delta_bytes` is None if every object was requested by itself."""

    ref: str
    commit: str
    objects: int
    requests: int
    size_bytes: int
    took_s: float
    delta_bytes: int | None

    def __str__(self) -> str:
        way = "one by one" if self.delta_bytes is None else "by its delta"
        rate = f", {self.size_bytes / 1e6 / self.took_s:.1f} MB/s" if self.took_s else ""
        return f"commit {self.commit[:12]} of {self.ref}: {self.objects} objects {way}, {self.requests} requests{rate}"


@dataclass(slots=True)
class ReleasePull:
    """One pull of `ref` from the archive at `url`. `ref_commit`: what refs/heads/REF was before, if it was read."""

    clients: ClientPool
    url: str
    ref: str
    now_s: Callable[[], float]
    ref_commit: str | None = None
    _requests: int = 0
    _size_bytes: int = 0
    _delta_bytes: int | None = None
    _seen: set[str] = field(default_factory=set)
    _waiting: list[str] = field(default_factory=list)

    async def run(self) -> PulledRelease:
        """Pull it; raise BootFailedError with what Anaconda shows."""
        began_s = self.now_s()
        await self._optional("summary.sig")  # without a key it is not used
        summary = await self._summary()
        commit = await self._commit_of_ref(summary)
        superblock = await self._superblock(commit, summary)
        if superblock is None:
            await self._pull_objects(commit)
        else:
            await self._pull_delta(superblock)
        took_s = self.now_s() - began_s
        return PulledRelease(
            self.ref, commit, len(self._seen), self._requests, self._size_bytes, took_s, self._delta_bytes
        )

    async def _summary(self) -> SummaryFile | None:
        data = await self._optional("summary")
        if data is None:
            return None
        try:
            return read_summary(data)
        except ContentError as error:
            raise self._failure("summary", str(error)) from error

    async def _commit_of_ref(self, summary: SummaryFile | None) -> str:
        if summary is None:
            return await self._ref_file()
        await self._whole("config")
        commit = summary.refs.get(self.ref)
        if commit is None:
            raise self._failure("summary", f"No such branch '{self.ref}' in repository summary")
        wanted = self.ref_commit or await self._ref_file()
        if commit != wanted:
            raise BootFailedError(
                Step.OSTREE,
                f"the release's summary names the commit {commit[:12]} for {self.ref}, and refs/heads/{self.ref} is "
                f"{wanted[:12]}: libostree follows the summary and installs the other release, without an error",
                cure="ostree summary -u --repo=ARCHIVE, or remove the file summary",
                evidence=(f"summary: {commit}", f"refs/heads/{self.ref}: {wanted}"),
            )
        return commit

    async def _ref_file(self) -> str:
        data = await self._whole(f"refs/heads/{self.ref}")
        commit = data.decode("ascii", "replace").strip()
        if not _CHECKSUM.fullmatch(commit):
            raise self._failure(f"refs/heads/{self.ref}", "Invalid rev, it is no checksum")
        return commit

    async def _superblock(self, commit: str, summary: SummaryFile | None) -> Superblock | None:
        """Find the delta from nothing as libostree does; None: there is none that can be used."""
        wanted = None
        if summary is not None:
            listed = dict(summary.deltas)
            if summary.has_delta_indexes and (
                index := await self._optional(_delta_path("delta-indexes", commit) + ".index")
            ):
                try:
                    listed |= read_delta_index(index)
                except ContentError as error:
                    raise self._failure("its delta index", str(error)) from error
            wanted = listed.get(commit)
            if wanted is None:
                return None
        directory = _delta_path("deltas", commit)
        data = await self._optional(f"{directory}/superblock")
        if data is None:
            return None
        try:
            if wanted is not None:
                expect_checksum(hashlib.sha256(data).hexdigest(), wanted)
            superblock = read_superblock(data, directory=directory)
            expect_checksum(superblock.commit, commit)
        except ContentError as error:
            raise self._failure(f"{directory}/superblock", str(error)) from error
        return superblock

    async def _pull_delta(self, superblock: Superblock) -> None:
        before = self._size_bytes
        directory = _delta_path("deltas", superblock.commit)
        parts = list(enumerate(superblock.parts))

        async def pull_parts() -> None:
            while parts:
                number, part = parts.pop(0)
                await self._pull_part(f"{directory}/{number}", part)

        await all_or_first_failure([pull_parts() for _ in range(_PARTS_AT_ONCE)])
        self._delta_bytes = self._size_bytes - before
        await self._optional(_object_path(f"{superblock.commit}.commitmeta"))
        self._seen |= {f"{superblock.commit}.commit", *(name for part in superblock.parts for name in part.objects)}
        self._wait_for(superblock.fallbacks)
        await self._pull_waiting()

    async def _pull_part(self, path: str, part: DeltaPart) -> None:
        if part.size_bytes > LARGEST_PART:
            raise self._failure(path, f"it has {part.size_bytes} bytes, more than libostree maps")
        data = part.inline
        if data is None:
            data = await self._whole(path, largest=part.size_bytes)
        try:
            await asyncio.to_thread(verify_part, data, part)
        except ContentError as error:
            raise self._failure(path, str(error)) from error

    async def _pull_objects(self, commit: str) -> None:
        await self._optional(_object_path(f"{commit}.commitmeta"))
        self._wait_for([f"{commit}.commit"])
        await self._pull_waiting()

    def _wait_for(self, names: Iterable[str]) -> None:
        """Add objects that were not requested yet; metadata leads to more, so it comes first."""
        for name in names:
            if name not in self._seen:
                self._seen.add(name)
                self._waiting.append(name)
        if len(self._seen) > _LARGEST_RELEASE:
            raise self._failure("the commit", f"it has more than {_LARGEST_RELEASE} objects")

    async def _pull_waiting(self) -> None:
        """Request the objects that wait and all that they reach, eight at once."""
        under_way: set[asyncio.Task[None]] = set()
        done: set[asyncio.Task[None]] = set()
        try:
            while self._waiting or under_way:
                while self._waiting and len(under_way) < CONNECTIONS:
                    under_way.add(asyncio.create_task(self._pull_object(self._waiting.pop())))
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*done, *under_way, return_exceptions=True)  # of several failures, one is raised

    async def _pull_object(self, name: str) -> None:
        checksum, _, kind = name.partition(".")
        path = _object_path(name)

        def make() -> ReceivedFile | ReceivedMetadata:
            return ReceivedFile(checksum) if kind == "filez" else ReceivedMetadata(checksum, kind)

        received: ReceivedFile | ReceivedMetadata | None = await self._receive(path, make)
        if received is None:
            raise self._failure(path, "Server returned HTTP 404")
        try:
            received.verify()
            if isinstance(received, ReceivedMetadata):
                self._wait_for(f"{digest.hex()}.{of}" for digest, of in children(kind, bytes(received.content)))
        except ContentError as error:
            raise self._failure(path, f"Corrupted {kind} object; {error}") from error

    async def _optional(self, path: str) -> bytes | None:
        """Request a small file; None: it is absent."""
        received = await self._receive(path, lambda: _Collected(LARGEST_METADATA))
        return None if received is None else bytes(received.content)

    async def _whole(self, path: str, *, largest: int = LARGEST_METADATA) -> bytes:
        received = await self._receive(path, lambda: _Collected(largest))
        if received is None:
            raise self._failure(path, "Server returned HTTP 404")
        return bytes(received.content)

    async def _receive(self, path: str, make: Callable[[], _R]) -> _R | None:
        """Request a file until a transfer is complete, with a new receiver each time; None: it is absent."""
        for number in range(1, _TRIES + 1):
            receiver = make()
            try:
                answer = await self.clients.get(f"{self.url}/{path}", receiver.write)
            except BootFailedError as error:
                if self.clients.is_switched_off:
                    raise
                if number == _TRIES:
                    raise self._failure(path, f"{_TRIES} tries failed; the last one: {error.sentence}") from error
                continue
            except ContentError as error:
                raise self._failure(path, str(error)) from error
            self._requests += 1
            if answer.status in _ABSENT:
                return None
            if answer.status == 408 and number < _TRIES:
                continue
            if answer.status != 200:
                raise self._failure(path, f"Server returned HTTP {answer.status}, which EL8's libostree does not retry")
            self._size_bytes += answer.size_bytes
            return receiver
        raise AssertionError("the last try returns or raises")

    def _failure(self, path: str, shown: str) -> BootFailedError:
        return BootFailedError(
            Step.OSTREE,
            f"{_SHOWS}: {path}: {shown}",
            cure="verify the release on the appliance: netboot content verify",
            evidence=(without_users(f"{self.url}/{path}"),),
        )


class _Collected:
    """A file that is kept until it is read, of at most `largest` bytes."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self.content = bytearray()

    def write(self, data: bytes) -> None:
        self.content += data
        if len(self.content) > self._largest:
            raise ContentError(f"it is larger than the {self._largest} bytes that libostree takes")


def _object_path(name: str) -> str:
    return f"objects/{name[:2]}/{name[2:]}"


def _delta_path(root: str, commit: str) -> str:
    """Return where the files of the delta from nothing to a commit are: base64 of the commit, with `_` for `/`."""
    name = base64.b64encode(bytes.fromhex(commit)).decode().rstrip("=").replace("/", "_")
    return f"{root}/{name[:2]}/{name[2:]}"


async def all_or_first_failure(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all at once; if one fails, cancel the others and raise its exception."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
