"""Files with secrets, which may be credentials that systemd gives a service (systemd.exec(5), `LoadCredential=`).

A setting names a credential as `credential:NAME`: the file NAME in the directory of the environment's
`CREDENTIALS_DIRECTORY`. Commands have no such directory; they read that of the running unit, which root may do.
"""

import os
import re
from pathlib import Path
from typing import Final

PREFIX: Final = "credential:"
URL_PARAMETER: Final = "password_file"  # in the query of the URL of a store
VARIABLE: Final = "CREDENTIALS_DIRECTORY"
OF_UNIT: Final = Path("/run/credentials/netboot.service")  # where systemd keeps those of the unit while it runs
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")


def is_credential_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def credential_path(name: str) -> Path:
    """Return the path of a credential of this process, or of the unit for a process without credentials."""
    return _directory() / name


def is_credential(path: Path) -> bool:
    """Return whether a path is that of a credential: only systemd writes it, and only at the start of the unit."""
    return path.parent == _directory()


def is_elsewhere(path: Path) -> bool:
    """Return whether a path is that of a credential which this process cannot have: it is no service, and none runs."""
    return is_credential(path) and VARIABLE not in os.environ and not path.parent.is_dir()


def cure_of(path: Path) -> str | None:
    """Return what to do if the credential at `path` cannot be read; None: it is another file."""
    if not is_credential(path):
        return None
    name = path.name
    if path.parent.is_dir():
        if os.access(path.parent, os.X_OK):
            source = f"LoadCredential={name}:/etc/netboot/credentials/{name}"
            return f"the unit has no such credential: systemctl edit netboot, add [Service] {source}, and restart it"
        return "only root and the daemon may read it: run with sudo"
    if VARIABLE in os.environ:
        return f"{VARIABLE} names a directory that does not exist; correct it"
    elsewhere = f"{VARIABLE}=/etc/netboot/credentials"
    return (
        "systemd keeps credentials only while netboot.service runs: start it, "
        f"or name the directory that has a file {name}: {elsewhere} netboot …"
    )


def _directory() -> Path:
    named = os.environ.get(VARIABLE, "")
    return Path(named) if named.startswith("/") else OF_UNIT
