"""Why an interface cannot be used for simulated machines."""

from netboot.errors import NetbootError


class LanInterfaceError(NetbootError):
    """An interface that cannot send as another machine: it is missing, it is the appliance's, or a right is missing."""

    code = "interface-unusable"
