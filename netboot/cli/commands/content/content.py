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
from netboot.admin.texts.promotion_text import promotion_lines
from netboot.cli.commands.content.changed_content import announce, handed_over, opened
from netboot.cli.commands.content.import_image import import_image_command
from netboot.cli.commands.content.import_images import import_images_command
from netboot.cli.commands.content.promotion import effects_of, plan_of
from netboot.cli.commands.content.users_found import users, users_for_a_list
from netboot.cli.commands.content.verify_content import verify_command
from netboot.cli.commands.daemon_or_store import ask_daemon
from netboot.cli.groups import Group
from netboot.cli.views.content_progress import progress_option, shown_progress
from netboot.cli.views.content_view import collected_lines, damage_lines, damaged_view, what_column
from netboot.cli.views.image_view import image_lines, image_row
from netboot.cli.views.output import config_and_json, print_found, print_table
from netboot.content.imports.archive_import import ImportedRelease, import_archive
from netboot.content.imports.iso import ImportedMedium, import_iso
from netboot.content.library.disk import megabytes
from netboot.model.release import EntryKind
from netboot.model.words import printable
from netboot.operate.content.content_changes import collect_content, promote_content, remove_content
from netboot.operate.content.image_changes import describe_image, remove_image
from netboot.operate.content.image_listing import is_image, list_images
from netboot.operate.content.library_listing import damaged_of, listed
from netboot.operate.content.scrub_state import ScrubState


@click.group(cls=Group)
def content() -> None:
    """Import and manage boot media, releases and container images."""


content.add_command(import_image_command)
content.add_command(import_images_command)
content.add_command(verify_command)


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
    """List boot media, releases and container images with their users."""
    settings, library = opened(config)
    known = users_for_a_list(config, settings)
    withheld = ScrubState.read(library.directory).withheld
    views = [asdict(listed(entry, library, known, withheld=withheld)) for entry in library.entries()]
    images = list_images(library, known, withheld=withheld)
    rows = [
        (
            view["name"],
            view["kind"],
            what_column(view),
            "" if view["alias_of"] else megabytes(view["size_bytes"]),
            ago(view["imported_at"]) if view["imported_at"] else "copied in",
            ", ".join(view["used_by"]) or "-",
        )
        for view in views
    ] + [image_row(each) for each in images]
    views += [{"kind": "image", **asdict(each)} for each in images]
    print_table(views, as_json, ("NAME", "KIND", "WHAT", "SIZE", "IMPORTED", "USED BY"), rows)


@content.command()
@click.argument("name")
@config_and_json
def show(config: Path, name: str, as_json: bool) -> None:
    """Show the details of NAME: a boot medium, a release, or REPOSITORY[:TAG|@DIGEST]."""
    settings, library = opened(config)
    withheld = ScrubState.read(library.directory).withheld
    if is_image(library, name):
        found = describe_image(library, name, users_for_a_list(config, settings), withheld=withheld)
        print_found({"kind": "image", **asdict(found)}, as_json, image_lines(found))
        return
    entry = library.find(name)
    record = entry.record
    damaged = damaged_of(entry, withheld)
    view = asdict(listed(entry, library, users_for_a_list(config, settings), withheld=withheld))
    lines = [
        f"{key.removesuffix('_bytes').replace('_', ' ')}: {_shown(key, value)}" for key, value in view.items() if value
    ]
    view |= {"record": asdict(record) if record else None, "damaged": [damaged_view(each) for each in damaged]}
    if record is not None and record.image:
        lines.append(f"image: {record.image}")
    files = record.files.items() if record else ()
    lines += [f"  {checksum}  {member}" for member, checksum in files]
    print_found(view, as_json, [*lines, *(f"damaged, not served: {text}" for text in damage_lines(damaged))])


def _shown(key: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return megabytes(value) if key == "size_bytes" else str(value)


@content.command()
@click.argument("name")
@config_and_json
def remove(config: Path, name: str, as_json: bool) -> None:
    """Remove a boot medium, a release, an alias, or an image: REPOSITORY[:TAG|@DIGEST]. Refused while it is used."""
    settings, library = opened(config)
    with handed_over(settings.content.directory):
        if is_image(library, name):
            done = remove_image(library, name, users(config, settings))
        else:
            done = remove_content(library, name, lambda: users(config, settings))
    announce(config, settings, f"remove {done.removed}", done.entry)
    freed = "" if done.kind is not None else "; netboot content gc frees what no other image has"
    removed = {"removed": done.removed, "size_bytes": done.size_bytes}
    print_found(removed, as_json, [f"{done.removed} is removed{freed}"])


@content.command()
@config_and_json
def gc(config: Path, as_json: bool) -> None:
    """Delete the remains of unfinished imports and removals, and images that nothing names.

    Refused while a machine pulls a release. An image that a machine pulls stays.
    """
    settings, library = opened(config)
    status = asyncio.run(ask_daemon(settings.admin.socket, config, lambda daemon: daemon.status()))
    with handed_over(settings.content.directory):
        done = collect_content(library, status["pulls"], status["image_pulls"]) if status else collect_content(library)
    if done.deleted or done.images.manifests or done.images.blobs:
        announce(config, settings, "gc")
    print_found(asdict(done), as_json, collected_lines(done))


@content.command()
@click.argument("name")
@click.argument("alias")
@click.option("--plan", "is_plan", is_flag=True, help="Only print which nodes notice it, and which armings end.")
@config_and_json
def promote(config: Path, name: str, alias: str, is_plan: bool, as_json: bool) -> None:
    """Make ALIAS (`stable`) an alias of NAME. Hosts that refer to ALIAS get NAME from now on.

    If NAME was an image, its tag ALIAS moves too: nodes that follow it notice that within two minutes.
    """
    if is_plan:
        plan = plan_of(config, name, alias)
        print_found(plan, as_json, map(printable, promotion_lines(plan)))
        return
    settings, library = opened(config)
    library.find(name)  # its refusal is printed once, and not as a note too
    effects = effects_of(config, settings, name, alias)
    with handed_over(settings.content.directory):
        done = promote_content(library, name, alias, lambda: users(config, settings))
    announce(config, settings, f"promote {name} {alias}", done.entry)
    found = {"alias": alias, "name": done.name, "tags": [asdict(tag) for tag in done.tags], "effects": effects}
    if effects is not None:
        lines = promotion_lines(effects)
    else:
        lines = (f"the tag {tag.repository}:{tag.tag} is {tag.after} now" for tag in done.tags)
    print_found(found, as_json, map(printable, [f"{alias} is {done.name} now", *lines]))
