"""The names of the formats, apart so that a command line can list them without loading the importers."""

from enum import StrEnum


class ImportFormat(StrEnum):
    """The formats that are read."""

    METAL3 = "metal3"
    MOSK = "mosk"
    ICN = "icn"
    OLVM = "olvm"
    BYO = "byo"
