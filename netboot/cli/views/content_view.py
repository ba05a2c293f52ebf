"""The results of a verification as text and JSON."""

from typing import Any, Final

import click

from netboot.cli.views.output import counted
from netboot.content.images.image_check import ImageVerdict
from netboot.content.imports.verify import Verdict
from netboot.content.library.disk import megabytes
from netboot.model.release import EntryKind
from netboot.operate.content.content_changes import CollectedContent

_SHOWN_FAULTS: Final = 20


def verdict_view(verdict: Verdict | ImageVerdict, repaired: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "kind": verdict.kind.word if isinstance(verdict, Verdict) else "image",
        "ok": verdict.is_sound,
        "checked": verdict.checked,
        "faults": dict(verdict.faults),
        "repaired": list(repaired),
        "notes": list(verdict.notes),
    }


def print_verdict(verdict: Verdict | ImageVerdict, repaired: tuple[str, ...]) -> None:
    """Print the result of a verification, one line per damaged file."""
    if repaired:
        click.echo(f"{verdict.name}: {len(repaired)} replaced: {', '.join(repaired[:_SHOWN_FAULTS])}")
    for member, what in verdict.faults.items():
        click.echo(f"{verdict.name}: {member}: {what}")
    if isinstance(verdict, ImageVerdict):
        things = "blobs"
    else:
        things = "objects" if verdict.kind is EntryKind.RELEASE else "files"
    if verdict.is_sound and not verdict.checked:
        click.echo(f"{verdict.name}: no damage found; it has no import record")
    elif verdict.is_sound:
        click.echo(f"{verdict.name}: sound, {verdict.checked} {things}")
    else:
        click.echo(
            f"{verdict.name}: {len(verdict.faults)} bad; netboot content verify {verdict.name} --repair-from SOURCE"
        )
    for note in verdict.notes:
        click.echo(f"{verdict.name}: note: {note}")


def collected_lines(done: CollectedContent) -> list[str]:
    """Describe what was deleted."""
    lines = []
    if done.deleted:
        lines.append(f"{done.deleted} remains deleted, {megabytes(done.size_bytes)} freed")
    images = done.images
    if images.manifests or images.blobs:
        deleted = f"{counted(images.manifests, 'image')} without a name and {counted(images.blobs, 'blob')} deleted"
        lines.append(f"{deleted}, {megabytes(images.size_bytes)} freed")
    if images.pulled:
        lines.append(f"{counted(images.pulled, 'image')} without a name stay: machines pull them now")
    return lines or ["nothing was left behind"]
