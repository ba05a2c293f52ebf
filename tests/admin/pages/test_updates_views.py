"""What the pages show of the board of updates, and which of it needs attention."""

from typing import Any

from netboot.admin.pages.updates.updates_views import BoardView, NodeRow, UpdateAttention, node_row, update_attention
from netboot.model.host.host import HostName, Role
from netboot.operate.updates.updates_board import KnownCommit, NodeUpdate, UpdatesBoard, UpdateState

OLD, NEW = KnownCommit("a" * 64, "ock-1.32"), KnownCommit("b" * 64, "ock-1.33")


def node(host: str, state: UpdateState = UpdateState.CURRENT, **more: Any) -> NodeUpdate:
    return NodeUpdate(HostName(host), Role.WORKER, state, **more)


def staged(host: str, command: str = "") -> NodeUpdate:
    step = f"deploy it and restart the node: {command}" if command else "update the control planes first: cp1"
    return node(host, UpdateState.STAGED, runs=OLD, staged=NEW, offered=NEW, next_command=command, next_step=step)


def test_the_step_of_a_row_is_without_its_command():
    row = NodeRow.of(staged("w1", "ocne node update -N w1"))

    assert (row.url, row.step) == ("/hosts/w1", "deploy it and restart the node")
    assert NodeRow.of(staged("w2")).step == "update the control planes first: cp1"
    assert NodeRow.of(node("w3", next_step="nothing")).step == ""


def test_the_board_keeps_its_order_and_counts_the_states():
    command = "ocne node update -N cp1"
    nodes = [staged("cp1", command), node("cp2", warnings=["it is late"]), staged("w1")]

    view = BoardView.of(UpdatesBoard(nodes, ["1.33 differs"], registry=True))

    assert [row.node.host for row in view.rows] == ["cp1", "cp2", "w1"]
    assert view.next == NodeRow.of(nodes[0])
    assert view.counts == [(UpdateState.CURRENT, 1), (UpdateState.STAGED, 2)]
    assert (view.warnings, [row.node.host for row in view.warned]) == (["1.33 differs"], ["cp2"])
    assert (view.registry, view.report) == (True, False)


def test_a_board_where_nothing_is_due_needs_no_attention():
    view = BoardView.of(UpdatesBoard([node("w1")]))

    assert (view.next, view.warned) == (None, [])
    assert list(update_attention(UpdatesBoard([node("w1"), node("w2", UpdateState.OFFERED)]))) == []


def test_nodes_that_wait_for_an_operator_are_one_row_with_the_first_command():
    board = UpdatesBoard([staged("cp1", "ocne node update -N cp1"), staged("w1")])

    assert list(update_attention(board)) == [
        UpdateAttention(
            "updates-staged",
            "2 nodes",
            "/updates",
            "have downloaded ock-1.33 (bbbbbbbbbbbb), and wait for an operator",
            "ocne node update -N cp1",
        )
    ]


def test_one_node_that_waits_is_named():
    (row,) = update_attention(UpdatesBoard([staged("w1", "ocne node update -N w1")]))

    assert (row.subject, row.url) == ("w1", "/hosts/w1")
    assert row.sentence == "has downloaded ock-1.33 (bbbbbbbbbbbb), and waits for an operator"


def test_warnings_of_nodes_are_one_row_and_those_of_releases_one_each():
    nodes = [node("w1", warnings=["an install gives an older one", "it is late"]), node("w2", warnings=["it is late"])]

    rows = list(update_attention(UpdatesBoard(nodes, ["1.33 differs", "stable differs"])))

    assert [(row.key, row.subject, row.url, row.sentence) for row in rows] == [
        ("updates-warnings", "2 nodes", "/updates", "w1: an install gives an older one (and 2 more)"),
        ("updates-0", "updates", "/updates", "1.33 differs"),
        ("updates-1", "updates", "/updates", "stable differs"),
    ]


def test_the_page_of_a_host_has_its_row_if_something_is_known_of_it():
    board = UpdatesBoard([node("w1"), node("w2", UpdateState.UNKNOWN)])

    assert node_row(board, "w1") == NodeRow.of(node("w1"))
    assert (node_row(board, "w2"), node_row(board, "w3"), node_row(None, "w1")) == (None, None, None)
    late = node("w4", UpdateState.UNKNOWN, warnings=["it is late"])
    assert node_row(UpdatesBoard([late]), "w4") == NodeRow.of(late)
