"""How an installed system gets its Ignition."""

from enum import StrEnum


class IgnitionWay(StrEnum):
    URL = "url"  # its first boot fetches it
    EMBED = "embed"  # the installer puts it beside the initramfs
