"""`netboot content verify`: reads every byte of media, releases and images, and repairs what is damaged."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from netboot.cli.commands.content.changed_content import announce, handed_over, opened
from netboot.cli.views.content_progress import progress_option, shown_progress
from netboot.cli.views.content_view import print_verdict, verdict_view
from netboot.cli.views.output import config_and_json, print_json
from netboot.content.images.image_check import ImageCheck, ImageVerdict, repair_blobs, repair_images
from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.imports.appliance_source import ApplianceSource, is_appliance
from netboot.content.imports.verify import Verdict, repair, verify
from netboot.content.library.disk import explaining_import_errors
from netboot.content.library.library import Library, LibraryEntry, Staging
from netboot.content.library.progress import Progress
from netboot.operate.content.image_listing import find_image, is_image

Source = Path | ApplianceSource
Verified = tuple[Verdict | ImageVerdict, tuple[str, ...]]  # with the files that were replaced
_MOST_REPAIRS: Final = 3


def _source(source: str | None) -> Source | None:
    if source is None or is_appliance(source):
        return ApplianceSource(source) if source is not None else None
    if not Path(source).exists():
        raise click.BadParameter(f"{source} does not exist")
    return Path(source)


@click.command("verify", short_help="Verify every byte, and repair damaged files.")
@click.argument("name", required=False)
@click.option(
    "--repair-from",
    callback=lambda _context, _parameter, source: _source(source),
    metavar="SOURCE",
    help="An ISO, an archive, a directory, or the URL of another appliance (http://192.0.2.11:8080): "
    "damaged files and blobs are replaced from it.",
)
@progress_option
@config_and_json
def verify_command(config: Path, name: str | None, repair_from: Source | None, reports: bool, as_json: bool) -> None:
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
    repair_from: Source | None
    progress: Progress
    check: ImageCheck = field(init=False)

    def __post_init__(self) -> None:
        self.check = ImageCheck(ImageStore(self.library.directory))

    def entry(self, entry: LibraryEntry) -> Verified:
        verdict = verify(entry, self.progress)
        if self.repair_from is None or verdict.is_sound:
            return verdict, ()
        with self.library.changing() as staging, _explaining_errors(self.repair_from):
            repaired = repair(staging, entry, verdict, self.repair_from, progress=self.progress)
        return verify(entry, self.progress), repaired

    def image(self, repository: ImageRepository, reference: str = "") -> Verified:
        verdict = self.check.verify(repository, reference, self.progress)
        repaired: tuple[str, ...] = ()
        # a damaged manifest hides its blobs: they are found when it is replaced
        for _ in range(_MOST_REPAIRS):
            if self.repair_from is None or verdict.is_sound:
                break
            with self.library.changing() as staging, _explaining_errors(self.repair_from):
                replaced = self._replace_blobs(staging, verdict, self.repair_from, repository.name)
            if not replaced:
                break
            repaired += replaced
            self.check.forget(replaced)
            verdict = self.check.verify(repository, reference, self.progress)
        return verdict, repaired

    def _replace_blobs(
        self, staging: Staging, verdict: ImageVerdict, source: Source, repository: str
    ) -> tuple[str, ...]:
        if isinstance(source, ApplianceSource):
            return repair_blobs(staging, self.check.store, verdict, source.fetch, repository=repository)
        return repair_images(staging, self.check.store, verdict, source, progress=self.progress)


@contextmanager
def _explaining_errors(source: Source) -> Iterator[None]:
    with explaining_import_errors(source) if isinstance(source, Path) else nullcontext():
        yield
