"""Every error that netboot raises on purpose: one tree, each with the operation, the object and the cure in its text.

Dropping a request is not an error but a value (`model.boot.offer.Ignored`).
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

NO_RIGHT: Final = "run with sudo, or join group netboot"  # the cure if a user may not open a file or socket
MORE_DESCRIPTORS: Final = "set LimitNOFILE=65536 in the unit of netboot, or find who holds many connections: ss -tn"
_NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE})


def read_only_cure(directory: object) -> str:
    """Return the cure of a directory that is read-only: its disk, or the sandbox of the service, which looks the same.

    One clause: the doctor takes what follows the last semicolon of a fault for its cure.
    """
    return (
        "mount it writable, see dmesg, or if only the service sees it read-only: systemctl edit netboot, add [Service] "
        f"ReadWritePaths={directory} unless the unit has it, and systemctl restart netboot"
    )


def no_answer_of_store(wait_s: float) -> str:
    """Return the fault, with its cure, of a store that did not answer in time."""
    return f"the store did not answer within {wait_s:g} s; check the load of its disk, or of its database server"


class NetbootError(Exception):
    """An error with a message of one sentence for the operator, and a code for programs: docs/api.md lists them."""

    code: ClassVar[str] = "failed"
    part: ClassVar[str] = ""  # of what a machine is served from: `part` of the events that a boot is held back by it


class WireError(NetbootError):
    """A datagram or request that violates its protocol; it is dropped and counted."""

    code = "malformed-packet"


class PortError(NetbootError):
    """A port that cannot be bound: another program holds it, or the right to bind it is missing."""

    code = "port-unavailable"


class TransitionError(NetbootError):
    """A transition that the table of installs does not have, or an arming that is not allowed now."""

    code = "transition-refused"


class InstallHeldError(TransitionError):
    """An installer may not go on: its install is held until a person confirms the machine."""


class InspectionRefusedError(NetbootError):
    """A machine that cannot be inspected now, with every reason."""

    code = "inspection-refused"


class RescueRefusedError(NetbootError):
    """Hosts that cannot boot a rescue now, with every reason."""

    code = "rescue-refused"


class WipeRefusedError(NetbootError):
    """A host whose disk cannot be wiped when it is retired, with every reason."""

    code = "wipe-refused"


class UnknownHostError(NetbootError):
    """A name that no hosts file declares."""

    code = "host-unknown"


class HostFileError(NetbootError):
    """A host that a command must not change: a person declared it, or its name is used."""

    code = "host-not-changed"


class HostsNotWritableError(NetbootError):
    """The directory in which commands declare hosts cannot be written."""

    code = "hosts-not-writable"


class RenderError(NetbootError):
    """A document that cannot be rendered for a host."""

    code = "document-not-rendered"
    part = "document"


class IgnitionFileError(RenderError):
    """The Ignition file of a host's role that is missing, unreadable, or refused by Ignition."""

    part = "ignition"


class EndedSecretError(IgnitionFileError):
    """An Ignition file of which a secret has ended."""

    part = "secret"


class RoleFileError(NetbootError):
    """An Ignition file of a role that is not taken, or cannot be written."""

    code = "role-file-refused"


class RolloutError(NetbootError):
    """A rollout, or a change of one, that is refused."""

    code = "rollout-refused"


class ContentError(NetbootError):
    """A file, medium or release that is missing, damaged or not what it claims to be."""

    code = "content-unusable"
    part = "content"


class MediumError(ContentError):
    """A boot medium that cannot be served."""

    part = "medium"


class ReleaseError(ContentError):
    """A release that cannot be served."""

    part = "release"


class LoaderError(ContentError):
    """A loader that a host names and that cannot be offered."""

    part = "loader"


class DescriptorsError(ContentError, RenderError):
    """A file that is not opened now, because this process has too few descriptors left: no fault of the file."""

    part = "descriptors"

    def __init__(self) -> None:
        super().__init__(f"this appliance has no free file descriptor; {MORE_DESCRIPTORS}")


def lacks_descriptor(error: BaseException | None) -> bool:
    """Return whether an error, or one that it was raised from, is that no descriptor was left."""
    while error is not None:
        if isinstance(error, DescriptorsError) or (isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR):
            return True
        error = error.__cause__
    return False


def raise_without_descriptor(error: BaseException) -> None:
    """Raise DescriptorsError for an error of a file that is this one: the file may be sound."""
    if lacks_descriptor(error):
        raise DescriptorsError from error


class StoreError(NetbootError):
    """The store cannot be reached or does not accept a write."""

    code = "store-unavailable"
    part = "store"


class StoreKeyError(StoreError):
    """The store answers, but its key cannot be used: what is sealed in it does not open, and nothing is sealed."""


class UnknownHookError(NetbootError):
    """A name that no hook of `netboot.yaml` has."""

    code = "hook-unknown"


class UnknownIntentError(NetbootError):
    """No power action with this id is kept."""

    code = "power-action-unknown"


class UnknownRolloutError(NetbootError):
    """No rollout is kept."""

    code = "rollout-unknown"


class HookSecretError(NetbootError):
    """The file with the secret of a hook is missing, cannot be read, or has no secret of Standard Webhooks."""

    code = "hook-secret-unusable"


class UnknownAccountError(NetbootError):
    """A name that no user, or no API token, has."""

    code = "account-unknown"


class AccountRefusedError(NetbootError):
    """A user or API token that is not made or changed: its name is used, or a value is not accepted."""

    code = "account-refused"


class LoginRefusedError(NetbootError):
    """A user name and a password that do not belong together."""

    code = "login-refused"


class LoginLimitedError(NetbootError):
    """A login that is not tried, because too many failed before: `wait_s` is when the next one may be tried."""

    code = "login-limited"

    def __init__(self, message: str, *, wait_s: int) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class CertificateError(NetbootError):
    """A certificate, key or certificate authority of the administration that cannot be used."""

    code = "certificate-unusable"


class BmcError(NetbootError):
    """What a BMC did not do, with the part of it that a program needs.

    `fault`: a value of `bmc.bmc_fault.BmcFault`. `is_outcome_unknown`: it may have been done, because the answer to a
    request that changes the machine did not arrive.
    """

    code = "bmc-failed"

    def __init__(
        self, operation: str, host: str, reason: str, cure: str, *, fault: str, is_outcome_unknown: bool = False
    ) -> None:
        super().__init__(f"cannot {operation} of {host}: {reason}; {cure}")
        self.operation = operation
        self.host = host
        self.reason = reason
        self.cure = cure
        self.fault = fault
        self.is_outcome_unknown = is_outcome_unknown


class BmcRefusedError(BmcError):
    """What was not requested of a BMC: there is none, or its credentials cannot be used or written."""

    code = "bmc-refused"


class LabError(NetbootError):
    """A part of the lab that cannot be built or started, or a guest that did not reach the expected step."""

    code = "lab-failed"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault of a configuration file.

    `line` and `column` count from 1; 0 for the file as a whole.
    `where` is the path of the object in the file (`hosts.cp2.mac`), empty for the whole file.
    """

    file: str
    line: int
    column: int
    where: str
    what: str
    cure: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        where = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in self.where)
        subject = f"{place}: {where}" if where else place
        return f"{subject}: {self.what}; {self.cure}" if self.cure else f"{subject}: {self.what}"


class ConfigError(NetbootError):
    """Settings or hosts that cannot be used; carries every fault of every file, in file order."""

    code = "configuration-faulty"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
