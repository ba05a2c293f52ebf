"""The results of a verification as text and JSON."""

from typing import Any, Final

import click

from netboot.content.imports.verify import Verdict
from netboot.model.release import EntryKind

_SHOWN_FAULTS: Final = 20


def verdict_view(verdict: Verdict, repaired: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "kind": verdict.kind.word,
        "ok": verdict.is_sound,
        "checked": verdict.checked,
        "faults": dict(verdict.faults),
        "repaired": list(repaired),
        "notes": list(verdict.notes),
    }


def print_verdict(verdict: Verdict, repaired: tuple[str, ...]) -> None:
    """Print the result of a verification, one line per damaged file."""
    if repaired:
        click.echo(f"{verdict.name}: {len(repaired)} replaced: {', '.join(repaired[:_SHOWN_FAULTS])}")
    for member, what in verdict.faults.items():
        click.echo(f"{verdict.name}: {member}: {what}")
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
