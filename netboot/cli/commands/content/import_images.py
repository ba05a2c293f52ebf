"""`netboot content import-images`: brings container images into the library."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from netboot.cli.commands.content.changed_content import announce, handed_over, opened
from netboot.cli.views.content_progress import progress_option, shown_progress
from netboot.cli.views.output import config_and_json, counted, print_json
from netboot.content.images.image_import import ImportedImage, ImportedImages, import_images
from netboot.content.library.disk import megabytes
from netboot.content.library.library import LibraryBusyError
from netboot.errors import ContentError
from netboot.model.image_name import ImageName


@click.command("import-images", short_help="Import container images: what a cluster pulls.")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--image", "name", metavar="REPOSITORY[:TAG]", help="The name of the only image of the only SOURCE, if it has none."
)
@progress_option
@config_and_json
def import_images_command(
    config: Path, sources: tuple[Path, ...], name: str | None, reports: bool, as_json: bool
) -> None:
    """Import the images of OCI archives and directories, Docker archives, and of `ocne catalog mirror --archive`.

    Names and tags stay, without the registry's host. Of a SOURCE all images are imported, or none; the next one follows
    in any case. Exit code 1 if one failed.
    """
    image = image_name(name) if name is not None else None
    if image is not None and len(sources) > 1:
        raise click.UsageError("--image names the image of one SOURCE")
    settings, library = opened(config)
    done: list[ImportedImages] = []
    failed: dict[str, str] = {}
    with handed_over(settings.content.directory), shown_progress(as_json=as_json, reports=reports) as progress:
        for source in sources:
            try:
                done.append(import_images(library, source, image, progress=progress))
            except ContentError as error:
                if len(sources) == 1 or isinstance(error, LibraryBusyError):
                    raise
                failed[str(source)] = str(error)
                click.echo(f"netboot: {error}", err=True)
    images = [each for source in done for each in source.images]
    if images:
        announce(config, settings, f"import-images {', '.join(each.name for each in images)}")
    _print(done, failed, as_json)
    if failed:
        raise SystemExit(1)


def image_name(text: str) -> ImageName:
    """Read the value of --image."""
    try:
        return ImageName.parse(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write REPOSITORY[:TAG], as olcne/ui:1.33", param_hint="--image") from None


def _print(done: Sequence[ImportedImages], failed: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json({"sources": [asdict(each) for each in done], "failed": failed})
        return
    for source in done:
        for image in source.images:
            click.echo(_line(image))
            for note in image.notes:
                click.echo(f"note: {image.name}: {note}")
        click.echo(f"{source.source}: {counted(len(source.images), 'image')}, {megabytes(source.new_bytes)} new")


def _line(image: ImportedImage) -> str:
    state = "is there now" if image.is_new else "was there already, the same"
    moved = f"; its tag named {image.moved_from} before" if image.moved_from else ""
    platforms = ", ".join(image.platforms)
    return f"{image.name} {state}: {image.digest}, {platforms}, {megabytes(image.size_bytes)}{moved}"
