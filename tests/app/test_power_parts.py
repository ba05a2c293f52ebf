"""BMCs have the directory beside netboot.yaml, and the quirks of the site after the shipped ones."""

from pathlib import Path

from structlog.testing import capture_logs

from netboot.app.power.power_parts import bmcs_of
from netboot.bmc.quirks import MachineKind
from netboot.settings.bmc_setting import BmcSettings

CONTOSO = MachineKind("Contoso", "", "")


def test_quirks_of_the_site_apply_and_a_faulty_file_stops_no_start(tmp_path: Path):
    own = tmp_path / "own.yaml"
    settings = BmcSettings.model_construct(credentials=Path("bmc.d"), timeout_s=30, parallel=8, quirks=own)
    own.write_text("quirks: [{name: mine, vendor: [Contoso], boot_uri: none}]\n")
    with_own = bmcs_of(settings, tmp_path)
    own.write_text("quirks: [{}]\n")
    with capture_logs() as logs:
        without = bmcs_of(settings, tmp_path)

    assert (with_own.quirks.of(CONTOSO).names, with_own.credentials) == (("standard", "mine"), tmp_path / "bmc.d")
    assert without.quirks.of(CONTOSO).names == ("standard",)
    assert logs == [
        {
            "event": "bmc.quirks_refused",
            "log_level": "error",
            "problems": [f"{own}:1:10: quirks[0].name: is missing; write it, as name: supermicro"],
        }
    ]
    with_own.close()
    without.close()
