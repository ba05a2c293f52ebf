"""Why a machine does not proceed: what the reason of an event means, and what an operator does about it."""

from enum import StrEnum


class RequestRefusal(StrEnum):
    """Why a request for a script moves nothing; the reason of `boot.request_refused`."""

    OTHER_ADDRESS = "other-address"  # neither the registry nor the wire gave this address to the machine
