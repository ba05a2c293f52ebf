"""What the pages show of updates: the board, and the part of it that needs attention. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote

from netboot.operate.updates.updates_board import NodeUpdate, UpdatesBoard, UpdateState

UPDATES_PATH: Final = "/updates"


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node; `step` is what is next in words, without the command."""

    node: NodeUpdate
    url: str
    step: str

    @classmethod
    def of(cls, node: NodeUpdate) -> Self:
        step = node.next_step.removesuffix(node.next_command).removesuffix(": ")
        return cls(node, f"/hosts/{quote(node.host, safe='')}", "" if step == "nothing" else step)


@dataclass(frozen=True, slots=True)
class BoardView:
    """The page: `next` is the row with what an operator types first, `warned` are the nodes that have a warning."""

    rows: Sequence[NodeRow]
    next: NodeRow | None
    counts: Sequence[tuple[UpdateState, int]]
    warnings: Sequence[str]
    warned: Sequence[NodeRow]
    registry: bool
    report: bool

    @classmethod
    def of(cls, board: UpdatesBoard) -> Self:
        rows = [NodeRow.of(node) for node in board.nodes]
        by_state = Counter(node.state for node in board.nodes)
        return cls(
            rows,
            NodeRow.of(board.next) if board.next else None,
            [(state, by_state[state]) for state in UpdateState if by_state[state]],
            board.warnings,
            [row for row in rows if row.node.warnings],
            board.registry,
            board.report,
        )


def node_row(board: UpdatesBoard | None, name: str) -> NodeRow | None:
    """Return the row of a host; None without one, or if nothing is known of it."""
    node = next((each for each in board.nodes if each.host == name), None) if board is not None else None
    is_shown = node is not None and (node.state is not UpdateState.UNKNOWN or bool(node.warnings))
    return NodeRow.of(node) if node is not None and is_shown else None


@dataclass(frozen=True, slots=True)
class UpdateAttention:
    """What of the updates waits for an operator; `key` is unique among them."""

    key: str
    subject: str
    url: str
    sentence: str
    cure: str


def update_attention(board: UpdatesBoard) -> Iterable[UpdateAttention]:
    """List what waits for an operator: downloaded commits, warnings of nodes, and those of several nodes."""
    staged = [node for node in board.nodes if node.state is UpdateState.STAGED]
    if staged:
        first = next((node.next_command for node in staged if node.next_command), "")
        have, wait = ("has", "waits") if len(staged) == 1 else ("have", "wait")
        sentence = f"{have} downloaded {_named(staged)}, and {wait} for an operator"
        yield UpdateAttention("updates-staged", _nodes(staged), _url(staged), sentence, first)
    warned = [node for node in board.nodes if node.warnings]
    if warned:
        more = sum(len(node.warnings) for node in warned) - 1
        sentence = f"{warned[0].host}: {warned[0].warnings[0]}" if len(warned) > 1 else warned[0].warnings[0]
        text = f"{sentence} (and {more} more)" if more else sentence
        yield UpdateAttention("updates-warnings", _nodes(warned), _url(warned), text, "")
    for number, warning in enumerate(board.warnings):
        yield UpdateAttention(f"updates-{number}", "updates", UPDATES_PATH, warning, "")


def _named(staged: Sequence[NodeUpdate]) -> str:
    return ", ".join(sorted({str(node.staged) for node in staged}))


def _nodes(nodes: Sequence[NodeUpdate]) -> str:
    return nodes[0].host if len(nodes) == 1 else f"{len(nodes)} nodes"


def _url(nodes: Sequence[NodeUpdate]) -> str:
    return NodeRow.of(nodes[0]).url if len(nodes) == 1 else UPDATES_PATH
