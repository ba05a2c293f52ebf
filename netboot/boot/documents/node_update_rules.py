"""Which hosts get their updates from this appliance, and what the overlay has for it. Reads small files in threads."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from netboot.content.library.record import Record
from netboot.model import urls
from netboot.model.host.host import Host
from netboot.model.image_name import ImageName
from netboot.model.install.token import Tokens
from netboot.model.release import EntryKind
from netboot.render.node_updates import NO_UPDATES, NodeUpdates, UpdateSource


@dataclass(frozen=True, slots=True)
class NodeUpdateRules:
    """The settings of updates, and of the registry's TLS; `content` is the content directory.

    `tls_port`: 0 for none. `ca_pem`: the certificate with which nodes verify it; empty: one that they trust already.
    """

    content: Path = Path()
    registry: bool = False
    report: bool = False
    tls_port: int = 0
    ca_pem: str = ""

    async def of(self, host: Host, tokens: Tokens, *, base_url: str) -> NodeUpdates:
        """Return the part of a host's overlay; a boot of an older version has no token to report with."""
        if not (self.registry or self.report):
            return NO_UPDATES
        report_url = urls.node_report(base_url, tokens.node) if self.report and tokens.node else None
        return NodeUpdates(await asyncio.to_thread(self._source, host, base_url) if self.registry else None, report_url)

    def problem(self, host: Host) -> str | None:
        """Return why a host's node does not get its updates from here although it could; None: it does, or need not.

        Reads a small file.
        """
        if not self.registry or host.release is None or self._repository(host) is not None:
            return None
        why = "is on another server" if host.local_release is None else "was not imported as an image"
        cure = "netboot content import-image FILE makes a release with its image"
        return f"updates.registry has no effect on {host.name}: its release {host.release} {why}; {cure}"

    def _source(self, host: Host, base_url: str) -> UpdateSource | None:
        repository, tag = self._repository(host), host.local_release
        if repository is None or tag is None:
            return None
        address = urls.registry_address(base_url, self.tls_port)
        return UpdateSource(address, repository, tag, self.tls_port != 0, self.ca_pem)

    def _repository(self, host: Host) -> str | None:
        """Return the repository of the image that a host's release is; None: it is none of this appliance."""
        if host.local_release is None:
            return None
        record = Record.read(EntryKind.RELEASE.path(self.content, host.local_release))
        try:
            return ImageName.parse(record.image).repository if record is not None and record.image else None
        except ValueError:
            return None
