"""A LAN with the appliance on one end, and whatever a test starts on the other."""

from collections.abc import Iterator

import pytest
from fixtures.examined_lan import FOREIGN, ExaminedLan
from fixtures.lan import a_lan


@pytest.fixture
def lan() -> Iterator[ExaminedLan]:
    with a_lan(("192.0.2.10/24", f"{FOREIGN}/24")) as lan:
        yield ExaminedLan(lan, lan.wire())
