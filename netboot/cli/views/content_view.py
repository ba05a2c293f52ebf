"""The results of a verification as text and JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from netboot.cli.views.output import counted
from netboot.content.images.image_check import ImageVerdict
from netboot.content.imports.verify import Verdict
from netboot.content.library.disk import megabytes
from netboot.content.serving.withheld_files import WithheldFile
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


def what_column(view: Mapping[str, Any]) -> str:
    """Describe an entry in a column of the list; what of it is damaged comes first."""
    what = f"= {view['alias_of']}" if view["alias_of"] else str(view["what"])
    count = view["damaged_files"]
    damage = f"damaged: {counted(count, 'file')} not served" if count else ""
    return "; ".join(filter(None, (damage, what)))


def damaged_view(file: WithheldFile) -> dict[str, Any]:
    return {"file": file.member, "fault": file.fault, "found_at": file.found_at.isoformat(), "cure": file.cure}


def damage_lines(damaged: Sequence[WithheldFile]) -> list[str]:
    """Describe the first damaged files, each with its cure."""
    more = [f"and {len(damaged) - _SHOWN_FAULTS} more files"] if len(damaged) > _SHOWN_FAULTS else []
    return [f"{each.member}: {each.fault}; {each.cure}" for each in damaged[:_SHOWN_FAULTS]] + more


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
