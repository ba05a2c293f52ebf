"""Compares what a host would get now with what it was served last. Pure."""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from netboot.model.install.served_document import ServedDocument, ServedKind
from netboot.model.install.token import hidden_in
from netboot.operate.planning.host_plan import PLAN_TOKENS, HostPlan


@dataclass(frozen=True, slots=True)
class PlanChange:
    """One document: when it was served, and how it differs now, as a unified diff; empty: it does not."""

    document: ServedKind
    served_at: str
    differs: bool
    diff: str


def plan_change(plan: HostPlan, served: ServedDocument) -> PlanChange:
    """Compare a document; `plan` was rendered for the card and the server of `served`."""
    at, kind = served.at.isoformat(), served.kind
    text, sha256 = _now(plan, kind)
    if sha256 == served.sha256:
        return PlanChange(kind, at, differs=False, diff="")
    if served.text is not None and text is not None:
        before, after = _lines(kind, served.text), _lines(kind, text)
    else:
        before, after = [f"sha256 {served.sha256}"], [f"sha256 {sha256 or 'none'}"]
    old, new = f"{served.host}/{kind} served {at}", f"{served.host}/{kind} now"
    lines = [f"--- {old}", f"+++ {new}", *_unified_diff(before, after)]
    return PlanChange(kind, at, differs=True, diff="\n".join(lines))


def _unified_diff(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Yield the hunks; `difflib.unified_diff` misses equal lines that a text of 200 lines has often, as blank ones."""
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for hunk in matcher.get_grouped_opcodes(3):
        (_, first, _, new_first, _), (_, _, last, _, new_last) = hunk[0], hunk[-1]
        yield f"@@ -{_range(first, last)} +{_range(new_first, new_last)} @@"
        for tag, begin, end, new_begin, new_end in hunk:
            if tag == "equal":
                yield from (f" {line}" for line in before[begin:end])
                continue
            yield from (f"-{line}" for line in before[begin:end])
            yield from (f"+{line}" for line in after[new_begin:new_end])


def _range(first: int, last: int) -> str:
    """Write a range of lines as GNU diff does: an empty one begins at the line before it."""
    count = last - first
    return f"{first + 1}" if count == 1 else f"{first + (count > 0)},{count}"


def _now(plan: HostPlan, kind: ServedKind) -> tuple[str | None, str | None]:
    """Return the text that is planned, tokens hidden, and its SHA-256; of the role's file only that."""
    if kind is ServedKind.ROLE:
        return None, plan.role_sha256
    texts: Mapping[ServedKind, str] = {
        ServedKind.SCRIPT: plan.script,
        ServedKind.GRUB: plan.grub,
        ServedKind.KICKSTART: plan.kickstart,
        ServedKind.OVERLAY: plan.ignition.get("overlay") or f"# {plan.ignition.get('error')}",
    }
    text = hidden_in(texts[kind], PLAN_TOKENS)
    return text, hashlib.sha256(text.encode()).hexdigest()


def _lines(kind: ServedKind, text: str) -> list[str]:
    """Return the lines of a document; an overlay has one for each value and each line of a file."""
    if kind is not ServedKind.OVERLAY or not text.startswith("{"):
        return text.splitlines()
    config = json.loads(text)
    for file in config.get("storage", {}).get("files", []):
        source = file.get("contents", {}).get("source", "")
        if source.startswith("data:,"):
            file["contents"]["source"] = unquote(source.removeprefix("data:,")).splitlines()
    return json.dumps(config, indent=2, ensure_ascii=False).splitlines()
