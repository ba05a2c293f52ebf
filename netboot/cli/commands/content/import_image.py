"""`netboot content import-image`: brings an ostree container image into the library, as a release and as an image."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from netboot.cli.commands.content.changed_content import announce, handed_over, opened
from netboot.cli.commands.content.import_images import image_name
from netboot.cli.views.content_progress import progress_option, shown_progress
from netboot.cli.views.output import config_and_json, print_found
from netboot.content.imports.archive_import import ImportedRelease
from netboot.content.imports.ostree_image.ostree_import import import_ostree_image
from netboot.content.library.disk import megabytes
from netboot.model.release import EntryKind


@click.command("import-image", short_help="Import the OCK image: nodes install and update from it.")
@click.argument("source", metavar="FILE|DIR", type=click.Path(path_type=Path))
@click.option("--name", help="The release's name; by default from its file's name (ock-1.33).")
@click.option(
    "--image",
    "wanted",
    metavar="REPOSITORY[:TAG]",
    help="Where nodes find it; by default as the archive names it, or olcne/ock-ostree.",
)
@progress_option
@config_and_json
def import_image_command(
    config: Path, source: Path, name: str | None, wanted: str | None, reports: bool, as_json: bool
) -> None:
    """Import an ostree container image: what `skopeo copy docker://…/olcne/ock-ostree:TAG oci-archive:FILE` writes.

    Every object is verified. The image becomes a release for installs, and stays as it is for the registry; its release
    is a tag too. An image of several architectures becomes a release of each: NAME-amd64, NAME-arm64.
    """
    image = image_name(wanted) if wanted is not None else None
    settings, library = opened(config)
    with handed_over(settings.content.directory), shown_progress(as_json=as_json, reports=reports) as progress:
        done = import_ostree_image(library, source, name, image=image, now=datetime.now(UTC), progress=progress)
    for release in done.releases:
        announce(config, settings, f"import-image {release.name}", (EntryKind.RELEASE, release.name))
    lines = [_line(release) for release in done.releases]
    lines.append(f"image {done.image}, tags {', '.join(done.tags)}")
    print_found(asdict(done), as_json, [*lines, *(f"note: {note}" for note in done.notes)])


def _line(done: ImportedRelease) -> str:
    state = "is there now" if done.is_new else "was there already, the same"
    shared = f", {megabytes(done.linked_bytes)} of it were there already" if done.is_new and done.linked_bytes else ""
    what = f"commit {done.commit[:12]} on {done.ref}, {done.object_count} objects, {megabytes(done.size_bytes)}"
    return f"{done.name} {state}: {what}{shared}, every object verified"
