"""The appliance whose faults the doctor names: one for each file of tests, with a daemon that runs."""

from collections.abc import Iterator

import pytest
from fixtures.rack import a_rack
from fixtures.staged_appliance import StagedAppliance, mounted_store, write_appliance


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StagedAppliance]:
    directory = write_appliance(tmp_path_factory.mktemp("box"))
    with mounted_store(directory), a_rack(directory) as rack:
        staged = StagedAppliance(rack)
        with staged.time_server():
            rack.start()
            yield staged
