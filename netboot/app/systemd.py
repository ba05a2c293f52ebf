"""Notifies systemd of the daemon's state by sd_notify(3); does nothing if systemd did not start the process."""

import os
import socket


def notify(*assignments: str) -> bool:
    """Send lines such as `READY=1` to the service manager; False if there is none.

    Never raises, because a failed notification must not stop the daemon.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.connect(address)
            manager.sendall("\n".join(assignments).encode())
    except OSError:
        return False
    return True
