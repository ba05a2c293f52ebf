"""By which address a server identifies a simulated firmware that sends another identity than its MAC. Pure."""

from uuid import UUID

from netboot.model.host.mac import Mac
from netboot.probe.firmwares.firmware_profile import FirmwareProfile
from netboot.probe.firmwares.message_form import Chaddr


def identity_of(profile: FirmwareProfile, uuid: UUID) -> Mac | None:
    """Return the address that stands for the UUID in `chaddr`; None for a firmware that sends its MAC there."""
    firmware = profile.firmware
    if firmware is None or firmware.discover.chaddr is not Chaddr.UUID:
        return None
    return Mac.standing_for(uuid.bytes_le)
