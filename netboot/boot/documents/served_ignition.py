"""The Ignition that an installed system gets: the parts of one install do not change, and a held join waits.

A wrapper that was served has the hashes of the other two parts, so that those are kept for its requests. The wrapper of
a host that a rollout holds has none: its role's file is made later.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from netboot.boot.documents.ignition_documents import IgnitionDocuments, IgnitionPart, IgnitionSet, refuse_ended
from netboot.boot.documents.join_gate import JoinGate
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.install.install import Install
from netboot.model.rollout.join_hold import JoinHold

PINNED: Final = 256  # Ignition sets kept for their children; the oldest are rendered again on request


class ServedIgnition:
    """Serves wrapper, role and overlay. Methods raise StoreError, and RenderError if a document fails."""

    def __init__(self, documents: Callable[[], IgnitionDocuments], gate: JoinGate, now: Callable[[], datetime]) -> None:
        self._documents, self._gate, self._now = documents, gate, now
        self._pinned: dict[str, IgnitionSet] = {}  # by token

    async def part(
        self, part: IgnitionPart, host: Host, install: Install, *, mac: Mac, base_url: str, is_head: bool
    ) -> bytes | None:
        """Return a part of a host's Ignition; None: it joins later. `is_head`: nothing is recorded."""
        hold = await self._gate.hold_of(install)
        if hold is not None and part is IgnitionPart.WRAPPER:
            return await self._documents().render_held(host, install.tokens, mac=mac, base_url=base_url)
        if hold is not None and (is_head or hold.host.permit is None):
            if not is_head:
                await self._gate.note_request(hold)
            return None
        documents = await self._parts(part, host, install, hold, mac=mac, base_url=base_url)
        refuse_ended(host, documents.role, self._now())  # also if the wrapper was served before
        if hold is not None and not await self._gate.permits(hold, install, documents.role.content):
            return None
        return documents[part]

    async def _parts(
        self, part: IgnitionPart, host: Host, install: Install, hold: JoinHold | None, *, mac: Mac, base_url: str
    ) -> IgnitionSet:
        token = install.tokens.ignition
        documents, is_first = self._pinned.get(token), part is IgnitionPart.WRAPPER
        if hold is not None:
            is_first = part is IgnitionPart.ROLE  # which Ignition requests before the overlay
        if documents is None or is_first:
            documents = await self._documents().render(host, install.tokens, mac=mac, base_url=base_url)
            self._pin(token, documents)
        return documents

    def forget(self, token: str) -> None:
        """Forget the parts of an install: they hold cluster keys."""
        self._pinned.pop(token, None)

    def _pin(self, token: str, documents: IgnitionSet) -> None:
        self._pinned.pop(token, None)
        self._pinned[token] = documents
        while len(self._pinned) > PINNED:
            del self._pinned[next(iter(self._pinned))]
