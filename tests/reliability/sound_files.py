"""Reads what an appliance keeps on disk with programs of others, while the daemon is dead: nothing is half-written."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Container
from pathlib import Path

import yaml

TIMEOUT_S = 60
LogLine = tuple[tuple[str, str], ...]
CUT_OFF = (  # what capinfos writes of a capture whose last packet is not whole
    "An error occurred after reading",
    "appears to have been cut short in the middle of a packet",
    "(will continue anyway, checksums might be incorrect)",
)


def faults_of_store(database: Path, scratch: Path) -> list[str]:
    """Check a copy of a SQLite file and its WAL: opening the file itself would end its recovery before the daemon."""
    scratch.mkdir(exist_ok=True)
    copy = scratch / database.name
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        if (source := database.with_name(database.name + suffix)).exists():
            shutil.copyfile(source, copy.with_name(copy.name + suffix))
    connection = sqlite3.connect(copy)
    try:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        broken = [str(row) for row in connection.execute("PRAGMA foreign_key_check")]
    finally:
        connection.close()
    return [f"the store: {each}" for each in ([] if found == ["ok"] else found) + broken]


def faults_of_files(directory: Path) -> list[str]:
    """Check hosts files, Ignition files, uploads, releases, images, captures and logs."""
    content = directory / "content"
    found: list[str] = []
    for file in [directory / "hosts.yaml", *sorted((directory / "hosts.d").glob("*.yaml"))]:
        try:
            assert isinstance(yaml.safe_load(file.read_text()), dict)
        except (AssertionError, yaml.YAMLError) as error:
            found.append(f"{file} is half-written: {error!r}")
    for file in [*sorted((directory / "ign").glob("*.ign")), *sorted(content.glob(".uploads/*/upload.json"))]:
        try:
            json.loads(file.read_text())
        except ValueError as error:
            found.append(f"{file} is half-written: {error}")
    for release in sorted((content / "ostree").iterdir()):
        if not release.name.startswith("."):
            found += _fsck(release)
    for blob in sorted(content.glob("images/blobs/sha256/*")):
        if hashlib.sha256(blob.read_bytes()).hexdigest() != blob.name:
            found.append(f"{blob} has another digest")
    return found + _faults_of_records(directory / "records")


def faults_of_capture(capture: bytes, scratch: Path) -> list[str]:
    """Let capinfos read a capture as the API gives it."""
    file = scratch / "served.pcapng"
    file.write_bytes(capture)
    done = subprocess.run(["capinfos", str(file)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return [] if done.returncode == 0 and not done.stderr else [f"a capture: {done.stderr}"]


def log_line(text: str) -> LogLine:
    """Read a line of a machine's log with a JSON parser: its keys and values."""
    return tuple(sorted(json.loads(text).items()))


def cut_off(log: Path) -> bytes:
    """Return what follows the last whole line of a machine's log: a kill cut it off."""
    return log.read_bytes().rpartition(b"\n")[2]


def whole_lines(log: Path, cut: Container[bytes]) -> list[LogLine]:
    """Read the lines of a machine's log with a JSON parser, without those that kills `cut` off.

    Raises ValueError for another line that is not whole.
    """
    found = []
    for number, line in enumerate(log.read_bytes().split(b"\n")[:-1], start=1):
        try:
            found.append(log_line(line.decode()))
        except ValueError as error:
            if line not in cut:
                raise ValueError(f"{log}: line {number} is damaged, and no kill cut it off: {line!r}") from error
    return found


def _faults_of_records(records: Path) -> list[str]:
    """Let capinfos read every capture: a kill can cut off the last packet of one, which is its end."""
    captures = [str(path.relative_to(records)) for path in sorted(records.glob("*/*.pcapng"))]
    if not captures:
        return []
    done = subprocess.run(
        ["capinfos", "-c", "-M", "-T", "-r", *captures],
        cwd=records,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if not any(each in line for each in CUT_OFF)]
    return [f"a capture: {line}" for line in lines if line]


def leftovers(directory: Path) -> list[Path]:
    """List files of unfinished work: none of them may stay for ever."""
    staged = list((directory / "content").glob(".staging/*"))
    all_files = (Path(where, name) for where, _, names in os.walk(directory) for name in names)  # some are just deleted
    return sorted({*staged, *(path for path in all_files if path.suffix in (".new", ".tmp", ".part"))})


def _fsck(release: Path) -> list[str]:
    done = subprocess.run(
        ["ostree", "fsck", "--quiet", f"--repo={release}"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return [] if done.returncode == 0 else [f"ostree fsck of {release.name}: {done.stderr}"]
