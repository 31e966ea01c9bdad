"""Telling systemd how the daemon is (sd_notify(3)); nothing where systemd does not ask."""

import os
import socket


def notify(**states: str | int) -> None:
    """Send assignments such as `READY=1` to the socket in NOTIFY_SOCKET, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # in the abstract name space
        address = f"\0{address[1:]}"
    message = "\n".join(f"{name}={value}" for name, value in states.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
        try:
            notifier.connect(address)
            notifier.sendall(message.encode())
        except OSError:
            # Whoever supervises is gone; the daemon's work does not depend on being heard.
            return
