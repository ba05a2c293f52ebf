"""Where a machine fetches the two big trees from: this server, its content workers, or a web server elsewhere.

Pure. Scripts, Kickstarts, secrets and reports are always this server's (`base_url`).
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class ContentPlace:
    """`url` (content.url) counts before `port` (content.port, where workers listen); without both, this server."""

    url: str | None = None
    port: int | None = None

    def url_for(self, base_url: str) -> str:
        """Give what stands before `/content/` and `/ostree/` for Anaconda and libostree, without a slash at its end."""
        if self.url is not None:
            return self.url.rstrip("/")
        if self.port is None:
            return base_url
        parts = urlsplit(base_url)
        return f"{parts.scheme}://{parts.hostname}:{self.port}"

    def loader_url_for(self, base_url: str) -> str:
        """Give the same for iPXE and GRUB: GRUB knows no TLS, and iPXE trusts no authority of ours."""
        url = self.url_for(base_url)
        return url if url.startswith("http://") else base_url


HERE: Final = ContentPlace()
