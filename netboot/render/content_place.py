"""Where a machine fetches the two big trees from: this server, or a web server elsewhere.

Pure. Scripts, Kickstarts, secrets and reports are always this server's (`base_url`).
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ContentPlace:
    """The web server `url` (content.url); this server where it is None."""

    url: str | None = None

    def url_for(self, base_url: str) -> str:
        """Give what stands before `/content/` and `/ostree/` for Anaconda and libostree, without a slash at its end."""
        return base_url if self.url is None else self.url.rstrip("/")

    def loader_url_for(self, base_url: str) -> str:
        """Give the same for iPXE and GRUB: GRUB knows no TLS, and iPXE trusts no authority of ours."""
        url = self.url_for(base_url)
        return url if url.startswith("http://") else base_url


HERE: Final = ContentPlace()
