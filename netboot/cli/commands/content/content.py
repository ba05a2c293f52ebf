"""`netboot content`: imports, verifies, lists and removes boot media and releases.

Works on the content directory with or without a daemon; a running one is requested to read the directory again.
"""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from netboot.admin.texts.ages import ago
from netboot.cli.commands.content.changed_content import announce, handed_over, opened
from netboot.cli.commands.content.import_images import import_images_command
from netboot.cli.commands.content.users_found import users, users_for_a_list
from netboot.cli.commands.daemon_or_store import ask_daemon
from netboot.cli.groups import Group
from netboot.cli.views.content_progress import progress_option, shown_progress
from netboot.cli.views.content_view import print_verdict, verdict_view
from netboot.cli.views.output import config_and_json, print_found, print_json, print_table
from netboot.content.imports.archive_import import ImportedRelease, import_archive
from netboot.content.imports.iso import ImportedMedium, import_iso
from netboot.content.imports.verify import Verdict, repair, verify
from netboot.content.library.disk import explaining_import_errors, megabytes
from netboot.model.release import EntryKind
from netboot.operate.content.content_changes import collect_content, promote_content, remove_content
from netboot.operate.content.library_listing import listed


@click.group(cls=Group)
def content() -> None:
    """Import and manage boot media, releases and container images."""


content.add_command(import_images_command)


@content.command("publish", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("_words", metavar="...", nargs=-1, type=click.UNPROCESSED)
def removed_publish_command(_words: tuple[str, ...]) -> None:
    """Print the replacement of a removed command; delete this after one release."""
    raise click.UsageError(
        "netboot content publish was removed; copy the content directory with rclone sync (S3) or rsync: "
        "docs/content.md, On another web server, has the commands"
    )


@content.command("import-iso", short_help="Import a boot medium: an Oracle Linux ISO.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The medium's name; by default from its content (ol8u10-x86_64).")
@click.option("--checksum", help="The file's published checksum: sha256:…")
@progress_option
@config_and_json
def import_iso_command(
    config: Path, file: Path, name: str | None, checksum: str | None, reports: bool, as_json: bool
) -> None:
    """Take kernel, initrd, stage 2, shim and GRUB from an Oracle Linux 8, 9 or 10 ISO."""
    settings, library = opened(config)
    with handed_over(settings.content.directory), shown_progress(as_json=as_json, reports=reports) as progress:
        done = import_iso(library, file, name, now=datetime.now(UTC), checksum=checksum, progress=progress)
    announce(config, settings, f"import-iso {done.name}", (EntryKind.MEDIUM, done.name))
    text = f"{done.description}, {megabytes(done.size_bytes)}, kernel {done.kernel or 'unknown'}"
    _print_imported(done, text, as_json)


@content.command("import-archive", short_help="Import a release: the output of `ocne image create`.")
@click.argument("source", metavar="FILE|DIR", type=click.Path(path_type=Path))
@click.option("--name", help="The release's name; by default from its file's name (ock-1.31-amd64).")
@progress_option
@config_and_json
def import_archive_command(config: Path, source: Path, name: str | None, reports: bool, as_json: bool) -> None:
    """Import the OSTree archive from the output of `ocne image create --type ostree`, and verify every object."""
    settings, library = opened(config)
    with handed_over(settings.content.directory), shown_progress(as_json=as_json, reports=reports) as progress:
        done = import_archive(library, source, name, now=datetime.now(UTC), progress=progress)
    announce(config, settings, f"import-archive {done.name}", (EntryKind.RELEASE, done.name))
    shared = f", {megabytes(done.linked_bytes)} of it were there already" if done.is_new and done.linked_bytes else ""
    text = f"commit {done.commit[:12]} on {done.ref}, {done.object_count} objects, {megabytes(done.size_bytes)}{shared}"
    _print_imported(done, f"{text}, every object verified", as_json)


def _print_imported(done: ImportedMedium | ImportedRelease, text: str, as_json: bool) -> None:
    state = "is there now" if done.is_new else "was there already, the same"
    print_found(asdict(done), as_json, [f"{done.name} {state}: {text}", *(f"note: {note}" for note in done.notes)])


@content.command("list")
@config_and_json
def list_command(config: Path, as_json: bool) -> None:
    """List boot media and releases with their users."""
    settings, library = opened(config)
    known = users_for_a_list(config, settings)
    views = [asdict(listed(entry, library, known)) for entry in library.entries()]
    rows = (
        (
            view["name"],
            view["kind"],
            f"= {view['alias_of']}" if view["alias_of"] else view["what"],
            "" if view["alias_of"] else megabytes(view["size_bytes"]),
            ago(view["imported_at"]) if view["imported_at"] else "copied in",
            ", ".join(view["used_by"]) or "-",
        )
        for view in views
    )
    print_table(views, as_json, ("NAME", "KIND", "WHAT", "SIZE", "IMPORTED", "USED BY"), rows)


@content.command()
@click.argument("name")
@config_and_json
def show(config: Path, name: str, as_json: bool) -> None:
    """Show the details of NAME."""
    settings, library = opened(config)
    entry = library.find(name)
    record = entry.record
    view = asdict(listed(entry, library, users_for_a_list(config, settings)))
    view |= {"record": asdict(record) if record else None}
    lines = [
        f"{key.removesuffix('_bytes').replace('_', ' ')}: {_shown(key, value)}"
        for key, value in view.items()
        if key != "record" and value
    ]
    files = record.files.items() if record else ()
    print_found(view, as_json, [*lines, *(f"  {checksum}  {member}" for member, checksum in files)])


def _shown(key: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return megabytes(value) if key == "size_bytes" else str(value)


@content.command("verify", short_help="Verify every byte, and repair damaged files.")
@click.argument("name", required=False)
@click.option(
    "--repair-from",
    type=click.Path(path_type=Path, exists=True),
    metavar="SOURCE",
    help="An ISO, an archive, or a directory: damaged files are replaced from it.",
)
@progress_option
@config_and_json
def verify_command(config: Path, name: str | None, repair_from: Path | None, reports: bool, as_json: bool) -> None:
    """Verify every byte of NAME, or of all content; name each damaged file. Exit code 1 if one remains damaged."""
    if repair_from is not None and name is None:
        raise click.UsageError("--repair-from requires the NAME to repair")
    settings, library = opened(config)
    entries = [library.find(name)] if name else [entry for entry in library.entries() if entry.alias_of is None]
    results: list[tuple[Verdict, tuple[str, ...]]] = []
    with handed_over(settings.content.directory), shown_progress(as_json=as_json, reports=reports) as progress:
        for entry in entries:
            verdict = verify(entry, progress)
            repaired: tuple[str, ...] = ()
            if repair_from is not None and not verdict.is_sound:
                with library.changing() as staging, explaining_import_errors(repair_from):
                    repaired = repair(staging, entry, verdict, repair_from, progress=progress)
                verdict = verify(entry, progress)
            results.append((verdict, repaired))
    for verdict, repaired in results:
        if repaired:
            announce(config, settings, f"repair {verdict.name}", (verdict.kind, verdict.name))
        if not as_json:
            print_verdict(verdict, repaired)
    if as_json:
        print_json([verdict_view(verdict, repaired) for verdict, repaired in results])
    if not all(verdict.is_sound for verdict, _ in results):
        raise SystemExit(1)


@content.command()
@click.argument("name")
@config_and_json
def remove(config: Path, name: str, as_json: bool) -> None:
    """Remove a boot medium, a release, or an alias. Refused while it is used."""
    settings, library = opened(config)
    with handed_over(settings.content.directory):
        done = remove_content(library, name, lambda: users(config, settings))
    announce(config, settings, f"remove {name}", done.entry)
    print_found({"removed": name, "size_bytes": done.size_bytes}, as_json, [f"{name} is removed"])


@content.command()
@config_and_json
def gc(config: Path, as_json: bool) -> None:
    """Delete the remains of unfinished imports and removals. Refused while a machine pulls."""
    settings, library = opened(config)
    status = asyncio.run(ask_daemon(settings.admin.socket, config, lambda daemon: daemon.status()))
    with handed_over(settings.content.directory):
        done = collect_content(library, status["pulls"] if status is not None else ())
    if done.deleted:
        announce(config, settings, "gc")
    text = f"{done.deleted} remains deleted, {megabytes(done.size_bytes)} freed"
    print_found(asdict(done), as_json, [text if done.deleted else "nothing was left behind"])


@content.command()
@click.argument("name")
@click.argument("alias")
@config_and_json
def promote(config: Path, name: str, alias: str, as_json: bool) -> None:
    """Make ALIAS (`stable`) an alias of NAME. Hosts that refer to ALIAS get NAME from now on."""
    settings, library = opened(config)
    with handed_over(settings.content.directory):
        done = promote_content(library, name, alias, lambda: users(config, settings))
    announce(config, settings, f"promote {name} {alias}", done.entry)
    print_found({"alias": alias, "name": done.name}, as_json, [f"{alias} is {done.name} now"])
