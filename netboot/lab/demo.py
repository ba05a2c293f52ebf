"""The demonstration: two machines with empty disks, from power-on to ready, by the real daemon."""

from netboot.lab.lab import running_lab
from netboot.lab.lab_hosts import CP1, W1
from netboot.lab.machines.follow import OnChange, boot_to_the_end
from netboot.lab.machines.timeline import BootTimeline
from netboot.lab.media.stand_ins import Say


async def run_demo(*, say: Say, on_change: OnChange) -> dict[str, BootTimeline]:
    """Install a control-plane node (UEFI PXE) and a worker (UEFI HTTP boot); raise LabError if one stalls."""
    async with running_lab((CP1, W1), say=say) as lab, lab.appliance.control() as daemon:
        await daemon.arm_all([*lab.guests], reason="demo")
        return await boot_to_the_end(daemon, lab.guests.values(), on_change=on_change)
