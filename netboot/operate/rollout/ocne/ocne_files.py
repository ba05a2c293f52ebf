"""Reads the Ignition files of the roles that are in place, and where the cluster's API is. Call it in a thread."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.boot.documents.role_files import FileStamp, RoleFileRead, RoleFiles, file_stamp, record_path
from netboot.ignition.check import read_ignition
from netboot.ignition.role_file import authority_pem
from netboot.model.host.host import HostSet
from netboot.model.host.role_ignition import RoleUse
from netboot.operate.rollout.decision.observed import FileInPlace

_USES: Final = (RoleUse.INIT, RoleUse.CONTROL_PLANE, RoleUse.WORKER)


@dataclass(frozen=True, slots=True)
class ApiPlace:
    """HOST:PORT of the API, and the certificate of the cluster's CA."""

    endpoint: str
    ca_pem: str


class ClusterFiles:
    """The files that the hosts files name now. `ca_file`: the cluster's CA where no file of the first node is here."""

    def __init__(self, hosts: Callable[[], HostSet], *, ca_file: Path | None) -> None:
        self._hosts, self._ca_file = hosts, ca_file
        self._role_files = RoleFiles()
        self._known: dict[Path, tuple[tuple[FileStamp | None, ...], FileInPlace | None]] = {}

    def in_place(self) -> Mapping[RoleUse, FileInPlace]:
        """Return the sound files, by their use; one that was not changed is not read again."""
        found = {}
        for use, path in self._hosts().cluster.ignition.items():
            stamps = (file_stamp(path), file_stamp(record_path(path)))
            if self._known.get(path, (None,))[0] != stamps:
                self._known[path] = stamps, self._read(use, path)
            file = self._known[path][1]
            if file is not None:
                found[use] = file
        return found

    def _read(self, use: RoleUse, path: Path) -> FileInPlace | None:
        read = self._role_file(path)
        if read is None or read.ignition.problems or read.file.use is not use:
            return None
        ends = [deadline.at for deadline in read.deadlines]
        return FileInPlace(hashlib.sha256(read.content).hexdigest(), min(ends, default=None))

    def api(self) -> ApiPlace | str:
        """Return where the API of the cluster is; else why it is not known, with the cure."""
        files = {use: self._role_file(path) for use, path in self._hosts().cluster.ignition.items()}
        endpoints = [read.file.endpoint for use in _USES if (read := files.get(use)) is not None]
        endpoint = next((each for each in endpoints if each is not None), None)
        if endpoint is None:
            return "the address of the cluster's API is not known: no Ignition file of a role is in place"
        init = files.get(RoleUse.INIT)
        pem = authority_pem(read_ignition(init.content)) if init is not None else ""
        if not pem and self._ca_file is not None:
            try:
                pem = self._ca_file.read_text()
            except (OSError, UnicodeDecodeError) as error:
                return (
                    f"cannot read cluster.ca_file {self._ca_file}: {getattr(error, 'strerror', None) or 'it is no PEM'}"
                )
        if not pem:
            return "the CA of the cluster is not known: the file of the first node is not here; set cluster.ca_file"
        return ApiPlace(endpoint, pem)

    def _role_file(self, path: Path) -> RoleFileRead | None:
        try:
            return self._role_files.read(path)
        except OSError:
            return None
