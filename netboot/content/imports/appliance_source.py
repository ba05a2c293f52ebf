"""Another appliance as the source of a repair: fetches single files of its media, releases and images by HTTP. Blocks.

What it sends is not trusted: the caller verifies each file before it is used.
"""

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from netboot.errors import ContentError

_TIMEOUT_S: Final = 30.0  # without a byte
_CHUNK_BYTES: Final = 1 << 20
_LARGEST_BYTES: Final = 1 << 40
_NO_PROXY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class ApplianceSource:
    """An appliance by its URL on the boot LAN, `http://192.0.2.11:8080`."""

    url: str

    def fetch(self, path: str, place: Path) -> bool:
        """Write the file at a path into `place`; False: it is not there. Raises ContentError if it does not answer."""
        place.unlink(missing_ok=True)
        request = urllib.request.Request(self.url.rstrip("/") + quote(path))  # noqa: S310 - http or https, as checked
        try:
            with _NO_PROXY.open(request, timeout=_TIMEOUT_S) as answer, place.open("xb") as file:
                size_bytes = 0
                while chunk := answer.read(_CHUNK_BYTES):
                    size_bytes += len(chunk)
                    if size_bytes > _LARGEST_BYTES:
                        return False
                    file.write(chunk)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            cure = "name the URL that machines use, as http://192.0.2.11:8080"
            raise ContentError(f"cannot fetch {path} from {self.url}: {reason}; {cure}") from error
        return True


def is_appliance(source: str) -> bool:
    """Return whether the source of a repair is a URL."""
    return source.startswith(("http://", "https://"))
