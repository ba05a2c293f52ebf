"""The server of media and releases; scripts, Kickstarts, secrets and reports are always this server's. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ContentPlace:
    """The web server `url` (content.url); this server if it is None."""

    url: str | None = None

    def url_for(self, base_url: str) -> str:
        """Return the URL before `/content/` and `/ostree/` for Anaconda and libostree, without a slash at its end."""
        return base_url if self.url is None else self.url.rstrip("/")

    def loader_url_for(self, base_url: str) -> str:
        """Return the same for iPXE and GRUB: GRUB has no TLS, iPXE no certificate authority of the operator."""
        url = self.url_for(base_url)
        return url if url.startswith("http://") else base_url


HERE: Final = ContentPlace()
