"""What a lab's appliance shows or keeps for operators, and the secrets of the run, which none of it may have."""

import asyncio
import sys
from pathlib import Path
from typing import Final

from secrets_search import database_files, files_below, secrets_of_role_file, secrets_of_store

from netboot.lab.lab import Lab
from netboot.lab.media.roots import run

_VIEWS: Final = ("status", "hosts", "machines", "installs", "updates", "cluster/ignition", "events?after=0&follow=0")
_VIEWS_OF_HOST: Final = ("", "/install", "/history", "/served")


class RunSecrets:
    """The secrets of one run: those of the roles' files, and the tokens of each boot, which the next one replaces."""

    def __init__(self, lab: Lab) -> None:
        self._database = lab.appliance.paths.directory / "netboot.db"
        files = sorted((lab.appliance.paths.directory / "ign").glob("*.ign"))
        self.found = {secret for file in files for secret in secrets_of_role_file(file.name, file.read_bytes())}

    @property
    def kinds(self) -> set[str]:
        """What they are and where they belong."""
        return {secret.name for secret in self.found}

    async def add_tokens(self) -> None:
        """Add the tokens that the store has now."""
        if self._database.exists():
            self.found |= set(await asyncio.to_thread(secrets_of_store, self._database))


async def outputs(lab: Lab, host: str) -> dict[str, bytes]:
    """Collect every output: log, store, logs and captures of machines, API with events and metrics, support archive."""
    return await asyncio.to_thread(_outputs, lab, host)


def _outputs(lab: Lab, host: str) -> dict[str, bytes]:
    paths = lab.appliance.paths
    views = [f"api/v1/{view}" for view in _VIEWS] + [f"api/v1/hosts/{host}{view}" for view in _VIEWS_OF_HOST]
    archive = paths.directory / "support.tar.gz"
    run(sys.executable, "-m", "netboot", "support", host, "-o", archive, "--config", paths.settings)
    return {
        "log": paths.directory.joinpath("appliance.log").read_bytes(),
        "support.tar.gz": archive.read_bytes(),
        **database_files(paths.directory / "netboot.db"),
        **files_below(paths.directory / "records"),
        **{view: _answer(paths.socket, view) for view in [*views, "metrics"]},
    }


def _answer(socket: Path, path: str) -> bytes:
    return run(
        "curl", "--silent", "--show-error", "--max-time", "30", "--unix-socket", socket, f"http://netboot/{path}"
    )
