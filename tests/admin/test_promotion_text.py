"""What a promotion would do, line by line."""

from netboot.admin.json_views import json_view
from netboot.admin.texts.promotion_text import promotion_lines, shown_commit
from netboot.model.host.host import HostName, Role
from netboot.operate.updates.promotion_plan import NoticingNode, PromotionPlan
from netboot.operate.updates.updates_board import KnownCommit

OLD, NEW, NAMELESS = KnownCommit("a" * 64, "ock-1.32"), KnownCommit("b" * 64, version="1.33"), KnownCommit("c" * 64)
CP1, W1, W2 = HostName("cp1"), HostName("w1"), HostName("w2")


def test_a_commit_is_named_by_its_release_else_by_its_version():
    assert [shown_commit(json_view(each)) for each in (OLD, NEW, NAMELESS, None)] == [
        "ock-1.32 (aaaaaaaaaaaa)",
        "1.33 (bbbbbbbbbbbb)",
        "cccccccccccc",
        "–",
    ]


def test_each_node_arming_and_install_that_a_promotion_changes_has_a_line():
    nodes = [
        NoticingNode(CP1, Role.CONTROL_PLANE, OLD, is_since_install=False, stages=NEW),
        NoticingNode(W1, Role.WORKER, NEW, is_since_install=True, stages=None),
    ]
    plan = PromotionPlan("stable", "ock-1.33", OLD, NEW, "ocne/ock:stable", nodes, [W2], [CP1, W2], ["it is older"])

    assert list(promotion_lines(json_view(plan))) == [
        "the tag ocne/ock:stable names 1.33 (bbbbbbbbbbbb)",
        "cp1: notices it within two minutes; runs ock-1.32 (aaaaaaaaaaaa); stages 1.33 (bbbbbbbbbbbb)",
        "w1: notices it within two minutes; runs 1.33 (bbbbbbbbbbbb) (since install); runs it already",
        "w2: its arming ends, because it is bound to another commit",
        "new installs get it: cp1, w2",
        "warning: it is older",
    ]


def test_a_promotion_that_moves_no_tag_and_that_no_host_names_has_only_its_warnings():
    plan = PromotionPlan("stable", "ock-1.33", None, NEW, None, [], [], [], ["the release ock-1.33 is no image"])

    assert list(promotion_lines(json_view(plan))) == ["warning: the release ock-1.33 is no image"]
