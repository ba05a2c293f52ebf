"""The section `bmc` of `netboot.yaml`: how BMCs are used. Which BMC a host has is in the hosts files."""

from pathlib import Path
from typing import Annotated

from netboot.settings.setting_types import SettingSection
from netboot.yamlfile import value_kinds as values
from netboot.yamlfile.sections import described
from netboot.yamlfile.value_kinds import whole_number

TimeoutSeconds = Annotated[int, whole_number(1, 300, "seconds, 1–300")]
Parallel = Annotated[int, whole_number(1, 64, "whole number, 1–64")]


class BmcSettings(SettingSection):
    """Power by Redfish."""

    credentials: values.FilePath = described(
        Path("bmc.d"), "The directory with a file of credentials for each host that names none."
    )
    timeout_s: TimeoutSeconds = described(30, "The duration of one request to a BMC, in seconds.")
    parallel: Parallel = described(8, "The number of BMCs that are used at the same time.")
    quirks: values.FilePath | None = described(None, "A file with quirks of BMCs, in addition to the shipped ones.")
