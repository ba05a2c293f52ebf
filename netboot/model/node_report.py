"""What an installed node reports of its operating system: the commits that it runs and has downloaded. Pure.

Lines of `KEY VALUE`, as the script of assets/templates/ignition/report-updates.sh.j2 sends them. What the script cannot
find on the node, it leaves out. Anything else is refused: whoever has the node's token can send any bytes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, Self

from netboot.model.host.host import HostName
from netboot.model.image_name import LONGEST_REPOSITORY
from netboot.model.install.checks import MalformedReportError
from netboot.model.install.token import without_any_token

LARGEST_NODE_REPORT: Final = 4096  # bytes
_COMMIT: Final = "[0-9a-f]{64}"
_VERSION: Final = r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}"
_DATE: Final = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d \+0000"  # as `ostree log` writes it
_DATE_FORMAT: Final = "%Y-%m-%d %H:%M:%S +0000"
_FORMS: Final = {
    "booted": _COMMIT,
    "booted_version": _VERSION,
    "booted_date": _DATE,
    "booted_at": _DATE,
    "staged": _COMMIT,
    "staged_version": _VERSION,
    "staged_date": _DATE,
    "pending": _COMMIT,
    "registry": rf"[0-9A-Za-z][0-9A-Za-z.:/_-]{{0,{LONGEST_REPOSITORY}}}",
    "tag": r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}",
    "updater": "[a-z]{1,16}",
}
_DATES: Final = frozenset({"booted_date", "booted_at", "staged_date"})


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node reported; empty or None: its script did not find it."""

    booted: str
    booted_version: str = ""
    booted_date: datetime | None = None  # of the commit
    booted_at: datetime | None = None  # when the node was started
    staged: str = ""  # what the ref `ock:ock` names: `ocne-update` sets it once it has downloaded a commit
    staged_version: str = ""
    staged_date: datetime | None = None
    pending: str = ""  # the commit that is deployed for the next start
    registry: str = ""  # of /etc/ocne/update.yaml
    tag: str = ""  # of /etc/ocne/update.yaml
    updater: str = ""  # the state of ocne-update.service, as `systemctl is-active` prints it

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Make a report of texts; raise MalformedReportError for an unknown key, a wrong form, or no `booted`."""
        if unknown := sorted(set(values) - set(_FORMS)):
            raise MalformedReportError(f"a report of a node has no {unknown[0]!r}")
        for key, value in values.items():
            if not isinstance(value, str) or re.fullmatch(_FORMS[key], value, re.ASCII) is None:
                raise MalformedReportError(f"the {key} of a node's report has another form than {_FORMS[key]}")
        if "booted" not in values:
            raise MalformedReportError("a report of a node needs the commit that is booted")
        try:
            dates = {
                key: datetime.strptime(values[key], _DATE_FORMAT).replace(tzinfo=UTC) for key in _DATES & set(values)
            }
        except ValueError as error:
            raise MalformedReportError("a report of a node has a date that does not exist") from error
        return cls(**{**values, **dates})

    def texts(self) -> dict[str, str]:
        """Return what `parse` reads."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            key: value.strftime(_DATE_FORMAT) if isinstance(value, datetime) else value
            for key, value in found.items()
            if value
        }


@dataclass(frozen=True, slots=True)
class InstalledCommit:
    """What was installed: the release and commit to which the arming was bound; empty: none of this appliance."""

    release: str
    commit: str
    at: datetime


@dataclass(frozen=True, slots=True)
class InstalledNode:
    """An installed host, and what its node reported last."""

    host: HostName
    installed: InstalledCommit
    report: NodeReport | None = None
    reported_at: datetime | None = None


def read_node_report(body: bytes) -> NodeReport:
    """Read the body of a report, what can be a token in it hidden; raise MalformedReportError."""
    if len(body) > LARGEST_NODE_REPORT:
        raise MalformedReportError(f"a report of a node has at most {LARGEST_NODE_REPORT} bytes")
    try:
        lines = without_any_token(body.decode("ascii")).split("\n")
    except UnicodeDecodeError as error:
        raise MalformedReportError("a report of a node is ASCII text") from error
    values: dict[str, str] = {}
    for line in filter(None, lines):
        key, _, value = line.partition(" ")
        if key in values:
            raise MalformedReportError("a report of a node has each key once")
        values[key] = value
    return NodeReport.parse(values)
