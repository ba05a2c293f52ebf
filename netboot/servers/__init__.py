"""The doors: sockets, HTTP, systemd. The only room that knows both packets and decisions."""
