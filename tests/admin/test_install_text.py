"""An arming, a hold and a machine's identity, as `install show` and `host show` print them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from netboot.admin.json_views import json_view
from netboot.admin.texts.install_text import armed_text, hold_texts, identity_text
from netboot.model.host.mac import Mac
from netboot.model.install.machine_identity import Hold, HoldReason, Identity

MACHINE = Identity(Mac("52:54:00:aa:bb:01"), "192.0.2.50", "4c4c4544-0042-3510", "S\x1b1", "Gi1/0/7", is_reported=True)


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ([], ""),
        (
            ["its disk changed from a to b", "its release changed from c to d"],
            "; it ends with the next reload, start or boot, "
            "because its disk changed from a to b and its release changed from c to d",
        ),
    ],
)
def test_an_arming_is_shown_with_what_is_left_of_it_and_why_it_will_end(changes: list[str], end: str):
    arming = {"left": 2, "attempts": 3, "reason": "new disk", "changes": changes}

    assert armed_text({"arming": arming}) == f"yes, 2 of 3 attempts left: new disk{end}"
    assert armed_text({"arming": None}) == "no"


def test_a_hold_has_the_command_that_confirms_no_other_one():
    hold = Hold(HoldReason.APPROVAL, datetime(2026, 11, 21, 5, 0, tzinfo=UTC), MACHINE)
    install: dict[str, Any] = {"host": "w1", "hold": {**json_view(hold), "id": hold.id}}

    assert hold_texts(install) == [f"{hold.id}; to confirm this one alone: netboot install confirm w1 --hold {hold.id}"]
    assert hold_texts({"host": "w1", "hold": None}) == []


def test_an_identity_is_printable_and_leaves_out_what_the_machine_did_not_show():
    assert identity_text(json_view(MACHINE)) == (
        "MAC 52:54:00:aa:bb:01, address 192.0.2.50, UUID 4c4c4544-0042-3510, serial S\ufffd1, switch port Gi1/0/7"
    )
    assert identity_text(json_view(Identity(MACHINE.mac))) == "MAC 52:54:00:aa:bb:01"
