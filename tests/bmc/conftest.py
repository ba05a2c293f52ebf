"""One BMC of sushy-tools' emulator with one machine, and the daemon's side of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.bmc_host import a_host
from fixtures.operated_bmcs import OperatedBmcs
from fixtures.redfish_emulator import EmulatedMachine, emulated_bmc

from netboot.bmc.bmcs import Bmcs
from netboot.bmc.quirks import KnownQuirks, read_quirks
from netboot.model.bmc.bmc import Bmc
from netboot.model.host.host import Host

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def quirks() -> KnownQuirks:
    return read_quirks(REPOSITORY / "assets/bmc/quirks.yaml")


@pytest.fixture
def machine() -> EmulatedMachine:
    return EmulatedMachine("6d1f0cd5-2c75-4b05-8a0f-1f5b8c1d0a01")


@pytest.fixture
def host(machine: EmulatedMachine, tmp_path: Path) -> Iterator[Host]:
    """The host whose machine the emulated BMC has."""
    with emulated_bmc(machine, directory=tmp_path) as url:
        yield a_host(Bmc(url))


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    """The directory of the credentials."""
    return tmp_path / "bmc.d"


@pytest.fixture
def bmcs(quirks: KnownQuirks, credentials: Path) -> Iterator[Bmcs]:
    known = OperatedBmcs(quirks, credentials, timeout_s=5, parallel=4)
    yield known
    known.close()
