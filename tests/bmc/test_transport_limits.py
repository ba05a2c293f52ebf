"""A BMC that answers with more than a machine has: a call has limits for all answers together."""

import asyncio
import io
import zipfile
from typing import Any

import pytest
from fixtures.bmc_host import a_host
from fixtures.wrong_bmc import ROOT, WrongBmc, wrong_bmc

from netboot.bmc.bmcs import Bmcs
from netboot.bmc.probing.recorder import Recorder
from netboot.model.bmc.bmc import Bmc
from netboot.model.bmc.probe import Ability, Probe, Works

SYSTEM = "/redfish/v1/Systems/1"


def with_cards(paths: list[str], card: Any):
    """Answer as a BMC whose machine has these cards, each described by `card`."""
    resources = {
        "/redfish/v1": ROOT,
        "/redfish/v1/Systems": {"Members": [{"@odata.id": SYSTEM}]},
        SYSTEM: {"Id": "1", "PowerState": "On", "EthernetInterfaces": {"@odata.id": f"{SYSTEM}/E"}},
        f"{SYSTEM}/E": {"Name": "cards", "Members": [{"@odata.id": path} for path in paths]},
    }

    def answer(bmc: WrongBmc) -> None:
        path = bmc.path.rstrip("/")
        found = resources.get(path, card if path.startswith(f"{SYSTEM}/E/") or ".." in path else None)
        bmc.send(404 if found is None else 200, found or {})

    return answer


def cards_read(seen: list[tuple[str, str, dict[str, str]]]) -> list[str]:
    return [path for _, path, _ in seen if path.startswith(f"{SYSTEM}/E/")]


@pytest.mark.parametrize(
    ("size", "values"),
    [pytest.param(4000, 8000, id="of-many-small-values"), pytest.param(1_000_000, 1, id="of-long-texts")],
)
def test_the_answers_of_a_call_have_a_limit_together(bmcs: Bmcs, size: int, values: int):
    card = {"Id": "1", "MACAddress": "00:00:00:00:00:01", "values": [{}] * values, "text": "x" * size}
    with wrong_bmc(with_cards([f"{SYSTEM}/E/{number}" for number in range(60)], card)) as (url, seen):
        probe: Probe = asyncio.run(bmcs.call(a_host(Bmc(url)), lambda machine: machine.probe()))

    (row,) = [each for each in probe.abilities if each.ability is Ability.MACHINE]
    assert (row.works, row.detail) == (
        Works.NO,
        "its answers to one call need more than 16 MiB of memory; look for a newer firmware of the BMC",
    )
    assert len(cards_read(seen)) <= 17


def test_of_a_long_list_the_first_members_are_read(bmcs: Bmcs):
    card = {"Id": "1", "MACAddress": "52:54:00:aa:bb:01"}
    with wrong_bmc(with_cards([f"{SYSTEM}/E/{number}" for number in range(500)], card)) as (url, seen):
        asyncio.run(bmcs.call(a_host(Bmc(url)), lambda machine: machine.verify_host()))

    assert cards_read(seen) == [f"{SYSTEM}/E/{number}" for number in range(64)]


def test_no_name_in_a_record_leads_out_of_its_directory(bmcs: Bmcs):
    recorder = Recorder()
    away = f"{SYSTEM}/E/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/x"
    with wrong_bmc(with_cards([f"{SYSTEM}/E/1", away], {"Id": "1"})) as (url, _):
        probe = asyncio.run(bmcs.call(a_host(Bmc(url)), lambda machine: machine.probe(recorder), limit_s=60))

    with zipfile.ZipFile(io.BytesIO(recorder.archive(probe))) as archive:
        names = [name.removesuffix("/index.json") for name in archive.namelist()]
    paths = ("/redfish/v1", "/redfish/v1/Systems", SYSTEM, f"{SYSTEM}/E", f"{SYSTEM}/E/1")
    assert sorted(names) == ["netboot.json", *sorted(path[1:] for path in paths)]
