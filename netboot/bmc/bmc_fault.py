"""Why a BMC did not do what was requested: the reasons, and the exception that carries one inside this package."""

import importlib.util
from enum import StrEnum
from typing import Final

NO_SUSHY: Final = "sushy is missing, by which BMCs are used"
INSTALL_SUSHY: Final = "pip install 'netboot-ocne[bmc]', then systemctl restart netboot"  # it is looked for at a start


class BmcFault(StrEnum):
    """The value is the label of a metric and the `fault` of a BmcError."""

    NO_BMC = "no-bmc"
    NO_LIBRARY = "no-library"
    CREDENTIALS = "credentials"  # their file
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    TIMEOUT = "timeout"
    BUSY = "busy"  # requests to other BMCs fill the limit, or this one answers 503
    LOGIN = "login"
    FORBIDDEN = "forbidden"
    REDIRECTED = "redirected"
    TOO_LARGE = "too-large"
    NOT_REDFISH = "not-redfish"
    MACHINE = "machine"  # the BMC has no such machine, or several
    REFUSED = "refused"
    NOT_SUPPORTED = "not-supported"
    NOT_IN_FORCE = "not-in-force"  # accepted, but not what the BMC then reports
    FAILED = "failed"


class BmcFaultError(Exception):
    """A fault without the operation and the host, which the caller adds."""

    def __init__(self, fault: BmcFault, reason: str, cure: str) -> None:
        super().__init__(f"{reason}; {cure}")
        self.fault = fault
        self.reason = reason
        self.cure = cure


def has_sushy() -> bool:
    """Return whether the library is installed; loads nothing."""
    return importlib.util.find_spec("sushy") is not None
