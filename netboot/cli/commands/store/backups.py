"""`netboot store backup|restore|check`: backups of the store, and its verification in place."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot import __version__
from netboot.cli.views.content_progress import shown_progress
from netboot.cli.views.output import config_and_json, counted, print_found, print_json
from netboot.content.library.disk import megabytes
from netboot.content.library.progress import Progress
from netboot.model.actor import Actor, Source
from netboot.model.words import printable
from netboot.registry.load import load_settings

if TYPE_CHECKING:
    from netboot.store.backup.backup_file import BackupManifest
    from netboot.store.backup.restoring import RestoredStore

_STDOUT: Final = "-"


@click.command(short_help="Write a backup of the store; the daemon may run.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@config_and_json
def backup(config: Path, file: Path, as_json: bool) -> None:
    """Write all that the store has at this moment into FILE (- for standard output), beside a running daemon.

    FILE is replaced when the backup is complete. It has no content, no hosts files and no keys: docs/backup.md.
    """
    from netboot.store.backup.take_backup import replaced_file, take_backup  # slow to load

    url = load_settings(config).store.url
    about: dict[str, Any] = {"netboot_version": __version__, "appliance": socket.gethostname()}
    with shown_progress(as_json=as_json) as progress:
        note = _steps(progress, "backing up")
        if str(file) == _STDOUT:
            if as_json or sys.stdout.isatty():
                raise click.UsageError("the backup itself goes to standard output; redirect it, and leave --json out")
            asyncio.run(take_backup(url, sys.stdout.buffer, at=datetime.now(UTC), note=note, **about))
            return
        with replaced_file(file) as opened:
            taking = take_backup(url, opened, at=datetime.now(UTC), spool=file.absolute().parent, note=note, **about)
            manifest = asyncio.run(taking)
    size_bytes = file.stat().st_size
    found = {"file": str(file), "size_bytes": size_bytes, **_summary(manifest)}
    print_found(found, as_json, [f"{file}: {_described(manifest)}, {megabytes(size_bytes)}"])


@click.command(short_help="Replace the store by a backup; the daemon must be stopped.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--keep-armings",
    is_flag=True,
    help="Keep armings, requested boots, tokens and logins: nothing was installed since the backup.",
)
@config_and_json
def restore(config: Path, file: Path, keep_armings: bool, as_json: bool) -> None:
    """Replace the store by the backup FILE, of this or an earlier version and of either database.

    FILE is verified first; the store is replaced at once, and the previous one is kept. Armings, requested boots and
    wipes, tokens and logins end, unless --keep-armings: what was spent since the backup must not happen again.
    """
    from netboot.store.backup.backup_file import opened_backup  # slow to load
    from netboot.store.backup.restoring import RestoreRequest, key_warning, restore_backup
    from netboot.store.sealing.key_file import default_key_file

    settings = load_settings(config).store
    key_file = settings.key_file or default_key_file(settings.url)
    actor = Actor(f"uid {os.getuid()}", Source.COMMAND)
    owner = f"netboot store restore with pid {os.getpid()}"
    request = RestoreRequest(actor, owner, key_file, datetime.now(UTC), keeps_armings=keep_armings)
    with shown_progress(as_json=as_json) as progress, opened_backup(file) as opened:
        note = _steps(progress, "restoring")
        restored = asyncio.run(restore_backup(settings.url, opened, request, note=note))
        key_problem = key_warning(restored.manifest, key_file)
    ended = restored.ended
    found = {
        "backup": _summary(restored.manifest),
        "kept": restored.kept,
        "ended": {"hosts": len(ended.hosts), "machines": len(ended.machines), "logins": ended.sessions},
        "keeps_armings": keep_armings,
        "key_problem": key_problem,
    }
    print_found(found, as_json, map(printable, _restored_lines(restored, keep_armings)))
    if key_problem is not None and not as_json:
        click.echo(f"warning: what is sealed cannot be opened: {printable(key_problem)}", err=True)


@click.command(short_help="Verify the store in place, or a backup.")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@config_and_json
def check(config: Path, file: Path | None, as_json: bool) -> None:
    """Verify the store in place, beside a running daemon, or the backup FILE. Exit code 1 if something is damaged."""
    if file is not None:
        _check_backup(file, as_json=as_json)
        return
    from netboot.app.backup.store_check import check_store  # slow to load

    settings = load_settings(config).store
    with shown_progress(as_json=as_json) as progress:
        checked = asyncio.run(check_store(settings.url, settings.key_file, _steps(progress, "checking")))
    if as_json:
        counts = {"tables": len(checked.rows), "rows": sum(checked.rows.values())}
        faults = [asdict(fault) for fault in checked.faults]
        print_json({"ok": checked.is_sound, "schema_version": checked.version, **counts, "faults": faults})
    else:
        state = "is sound" if checked.is_sound else f"has {counted(len(checked.faults), 'fault')}"
        click.echo(f"the store, version {checked.version}, {counted(sum(checked.rows.values()), 'row')}, {state}")
        for fault in checked.faults:
            click.echo(printable(f"  {fault.part or 'database'}: {fault.what}"))
        if checked.is_damaged:
            click.echo(
                "if a newer version of netboot wrote these rows, install it again; otherwise stop the daemon, and "
                "restore a backup: netboot store restore FILE",
                err=True,
            )
    if not checked.is_sound:
        raise SystemExit(1)


def _check_backup(file: Path, *, as_json: bool) -> None:
    from netboot.store.backup.backup_file import opened_backup  # slow to load
    from netboot.store.backup.restoring import parts_read

    with opened_backup(file) as opened:
        parts_read(opened)
        manifest = opened.manifest
    found = {"ok": True, "file": str(file), **_summary(manifest)}
    print_found(found, as_json, [f"{file} is sound: {printable(_described(manifest))}"])


def _steps(progress: Progress, what: str) -> Callable[[str], object]:
    return lambda table: progress.step(f"{what} {table}", 0)


def _summary(manifest: "BackupManifest") -> dict[str, Any]:
    """Return what --json has of a backup; its manifest.json has each table."""
    return {
        "taken_at": manifest.taken_at,
        "appliance": manifest.appliance,
        "netboot_version": manifest.netboot_version,
        "schema_version": manifest.schema_version,
        "database": manifest.database,
        "key_digest": manifest.key_digest,
        "tables": len(manifest.parts),
        "rows": manifest.rows,
    }


def _described(manifest: "BackupManifest") -> str:
    rows = f"{counted(manifest.rows, 'row')} of {counted(len(manifest.parts), 'table')}"
    version = f"netboot {manifest.netboot_version}, store version {manifest.schema_version}"
    return f"{rows}, {manifest.appliance} at {manifest.taken_at}, {version}"


def _restored_lines(restored: "RestoredStore", keep_armings: bool) -> Sequence[str]:
    ended = restored.ended
    lines = [f"the store is restored: {_described(restored.manifest)}"]
    if restored.kept is not None:
        lines.append(f"the previous store is kept: {restored.kept}")
    if keep_armings:
        lines.append(
            "armings, requested boots and tokens are valid again as they were; netboot install show lists them"
        )
    else:
        arm = f"{', '.join(ended.hosts)}; netboot install arm HOST for each that is to be installed"
        lines.append(f"hosts whose arming or tokens ended: {arm if ended.hosts else 'none'}")
        if ended.machines:
            lines.append(f"machines whose requested boot or wipe ended: {', '.join(ended.machines)}")
        lines.append(f"{counted(ended.sessions, 'login')} ended")
    lines.append("users and API tokens are as they were then: revoke again what was revoked since (netboot token list)")
    lines.append("start the daemon, on every appliance of the store: systemctl start netboot")
    return lines
