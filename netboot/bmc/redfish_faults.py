"""Translates what sushy raises: the answer of a BMC as a fault with its reason and its cure."""

from typing import Any, Final

from netboot.bmc.bmc_fault import BmcFault, BmcFaultError
from netboot.model.words import one_line

_LOGIN_CURE: Final = "netboot bmc credentials HOST writes user and password"
_FORBIDDEN_CURE: Final = "give the BMC's user the right to configure and to control power"


def fault_of(error: Exception) -> BmcFaultError:
    """Return the fault for anything that sushy raised."""
    if isinstance(error, BmcFaultError):
        return error
    status = getattr(error, "status_code", None)
    match status:
        case 401:
            return BmcFaultError(BmcFault.LOGIN, "the BMC does not accept user and password", _LOGIN_CURE)
        case 403:
            return BmcFaultError(BmcFault.FORBIDDEN, f"the BMC forbids it: {message_of(error)}", _FORBIDDEN_CURE)
        case 404 | 405 | 501:
            reason = f"the BMC does not offer it (HTTP {status}: {message_of(error)})"
            return BmcFaultError(BmcFault.NOT_SUPPORTED, reason, "netboot bmc probe HOST shows what it can do")
        case 503:
            reason = f"the BMC is busy (HTTP 503: {message_of(error)})"
            return BmcFaultError(BmcFault.BUSY, reason, "try again in a minute")
        case int() if status >= 500:
            reason = f"the BMC failed (HTTP {status}: {message_of(error)})"
            return BmcFaultError(BmcFault.FAILED, reason, "try again; if it persists, restart the BMC")
        case int():
            reason = f"the BMC refused it (HTTP {status}: {message_of(error)})"
            return BmcFaultError(BmcFault.REFUSED, reason, "netboot bmc probe HOST shows what it can do")
        case _:
            return _without_status(error)


def _without_status(error: Exception) -> BmcFaultError:
    match type(error).__name__:
        case "UnknownDefaultError":
            reason, cure = "the BMC has several machines, or none", "write the id of this host's machine as bmc.system"
            return BmcFaultError(BmcFault.MACHINE, reason, cure)
        case "MissingActionError" | "InvalidParameterValueError" | "MissingAttributeError":
            reason = f"the BMC does not offer it: {one_line(str(error))}"
            return BmcFaultError(BmcFault.NOT_SUPPORTED, reason, "netboot bmc probe HOST shows what it can do")
        case name:
            reason = f"the BMC's answer is not that of Redfish ({name})"
            return BmcFaultError(BmcFault.NOT_REDFISH, reason, "correct bmc.url, or update the BMC")


def message_of(error: Any) -> str:
    """Return a BMC's own words, on one line of limited length."""
    info = getattr(error, "extended_info", None)
    listed = info if isinstance(info, list) else [info]
    messages = [str(each["Message"]) for each in listed if isinstance(each, dict) and each.get("Message")]
    detail = getattr(error, "detail", None)
    return one_line(" ".join(messages) or str(detail or "no reason given"))


def message_ids(error: Any) -> tuple[str, ...]:
    """List the ids of a BMC's messages, as Base.1.8.PropertyNotWritable, and its error code."""
    info = getattr(error, "extended_info", None)
    listed = info if isinstance(info, list) else [info]
    found = [str(each["MessageId"]) for each in listed if isinstance(each, dict) and each.get("MessageId")]
    return (*found, str(getattr(error, "code", "")))
