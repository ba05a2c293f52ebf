"""`netboot content verify`: reads every byte of media, releases and images, and repairs what is damaged."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from netboot.cli.commands.content.changed_content import announce, handed_over, opened
from netboot.cli.views.content_progress import progress_option, shown_progress
from netboot.cli.views.content_view import print_verdict, verdict_view
from netboot.cli.views.output import config_and_json, print_json
from netboot.content.images.image_check import ImageCheck, ImageVerdict, repair_images
from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.imports.verify import Verdict, repair, verify
from netboot.content.library.disk import explaining_import_errors
from netboot.content.library.library import Library, LibraryEntry
from netboot.content.library.progress import Progress
from netboot.operate.content.image_listing import find_image, is_image

Verified = tuple[Verdict | ImageVerdict, tuple[str, ...]]  # with the files that were replaced
_MOST_REPAIRS: Final = 3


@click.command("verify", short_help="Verify every byte, and repair damaged files.")
@click.argument("name", required=False)
@click.option(
    "--repair-from",
    type=click.Path(path_type=Path, exists=True),
    metavar="SOURCE",
    help="An ISO, an archive, or a directory: damaged files and blobs are replaced from it.",
)
@progress_option
@config_and_json
def verify_command(config: Path, name: str | None, repair_from: Path | None, reports: bool, as_json: bool) -> None:
    """Verify every byte of NAME, or of all content; name each damaged file. Exit code 1 if one remains damaged."""
    if repair_from is not None and name is None:
        raise click.UsageError("--repair-from requires the NAME to repair")
    settings, library = opened(config)
    results: list[Verified] = []
    with handed_over(settings.content.directory), shown_progress(as_json=as_json, reports=reports) as progress:
        run = _Verification(library, repair_from, progress)
        if name is not None and is_image(library, name):
            results.append(run.image(*find_image(library, name)))
        else:
            entries = [library.find(name)] if name else [each for each in library.entries() if each.alias_of is None]
            results += [run.entry(entry) for entry in entries]
        results += [(verdict, ()) for verdict in run.check.verify_all(progress)] if name is None else []
    for verdict, repaired in results:
        if repaired:
            entry = (verdict.kind, verdict.name) if isinstance(verdict, Verdict) else None
            announce(config, settings, f"repair {verdict.name}", entry)
        if not as_json:
            print_verdict(verdict, repaired)
    if as_json:
        print_json([verdict_view(verdict, repaired) for verdict, repaired in results])
    if not all(verdict.is_sound for verdict, _ in results):
        raise SystemExit(1)


@dataclass(slots=True)
class _Verification:
    library: Library
    repair_from: Path | None
    progress: Progress
    check: ImageCheck = field(init=False)

    def __post_init__(self) -> None:
        self.check = ImageCheck(ImageStore(self.library.directory))

    def entry(self, entry: LibraryEntry) -> Verified:
        verdict = verify(entry, self.progress)
        if self.repair_from is None or verdict.is_sound:
            return verdict, ()
        with self.library.changing() as staging, explaining_import_errors(self.repair_from):
            repaired = repair(staging, entry, verdict, self.repair_from, progress=self.progress)
        return verify(entry, self.progress), repaired

    def image(self, repository: ImageRepository, reference: str = "") -> Verified:
        verdict = self.check.verify(repository, reference, self.progress)
        repaired: tuple[str, ...] = ()
        # a damaged manifest hides its blobs: they are found when it is replaced
        for _ in range(_MOST_REPAIRS):
            if self.repair_from is None or verdict.is_sound:
                break
            with self.library.changing() as staging, explaining_import_errors(self.repair_from):
                replaced = repair_images(staging, self.check.store, verdict, self.repair_from, progress=self.progress)
            if not replaced:
                break
            repaired += replaced
            self.check.forget(replaced)
            verdict = self.check.verify(repository, reference, self.progress)
        return verdict, repaired
