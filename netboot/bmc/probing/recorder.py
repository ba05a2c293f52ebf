"""Records the answers of a BMC as a set that a test can serve again, without secrets.

The layout is that of the DMTF's mockup creator: `redfish/v1/…/index.json` for each resource. `netboot.json` has the
table of the probe.
"""

import io
import json
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import urlsplit

from netboot import __version__
from netboot.bmc.bmc_connection import BmcConnection
from netboot.bmc.probing.masked_answers import MaskedAnswers
from netboot.model.bmc.probe import Probe

MOST_RESOURCES: Final = 200
_ROOT: Final = "/redfish/v1"
# What is read for a record beside what the probe itself needs: links by these names, and their members.
_FOLLOWED: Final = frozenset(
    {
        *("Systems", "Managers", "Members", "Bios", "BootOptions", "EthernetInterfaces", "SecureBoot"),
        *("SettingsObject", "VirtualMedia", "ManagedBy", "SessionService"),
    }
)


class Recorder:
    """The answers to GET of one call."""

    def __init__(self) -> None:
        self._answers: dict[str, Any] = {}
        self._secrets: list[str] = []

    def record(self, response: Any) -> None:
        """Keep the answer if it is a resource: JSON by GET. Other methods and statuses are left out."""
        path = urlsplit(response.url).path.rstrip("/")
        is_kept = response.request.method == "GET" and response.status_code == 200 and path.startswith(_ROOT)
        if not is_kept or ".." in path or len(self._answers) >= MOST_RESOURCES:  # a path becomes a name in an archive
            return
        try:
            answer = json.loads(response.content)
        except (ValueError, RecursionError):
            return
        if isinstance(answer, dict):
            self._answers[path] = answer

    def hide(self, *secrets: str) -> None:
        """Leave these texts out of the record."""
        self._secrets += secrets

    def read_further(self, connection: BmcConnection, system: str) -> None:
        """Read the resources that show how a machine is powered and booted; of several machines this one's alone."""
        waiting, seen = deque(list(self._answers)), set(self._answers)
        while waiting and len(self._answers) < MOST_RESOURCES:
            for path in _links(self._answers.get(waiting.popleft(), {})):
                is_other = path.startswith(f"{_ROOT}/Systems/") and not path.startswith(system.rstrip("/"))
                if path in seen or is_other or not path.startswith(_ROOT):
                    continue
                seen.add(path)
                with suppress(Exception):  # a resource that the BMC lists and does not serve is left out
                    connection.connector.get(path)  # `record` gets it
                    waiting.append(path)

    def archive(self, probe: Probe) -> bytes:
        """Return the record as a zip archive; the same answers make the same archive."""
        masked = MaskedAnswers(self._answers, secrets=(*self._secrets, urlsplit(probe.url).hostname or ""))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            about = {"netboot": __version__, "synthetic": False, "probe": masked.value(asdict(probe))}
            _write(archive, "netboot.json", about)
            for path, answer in sorted(masked.answers().items()):
                _write(archive, f"{path.strip('/')}/index.json", answer)
        return buffer.getvalue()


def _links(answer: Any, name: str = "") -> Iterator[str]:
    """Yield the paths of followed links in an answer."""
    match answer:
        case Mapping():
            if name in _FOLLOWED and isinstance(path := answer.get("@odata.id"), str):
                yield path.rstrip("/")
            for key, value in answer.items():
                yield from _links(value, key)
        case list():
            for item in answer:
                yield from _links(item, name)
        case _:
            return


def _write(archive: zipfile.ZipFile, name: str, value: Any) -> None:
    archive.writestr(zipfile.ZipInfo(name), json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")
