"""The unit as README installs it, in a Debian of its own, and the machines of its LAN."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.daemon import START_S, wait_until
from fixtures.files import HOSTS, write_files
from fixtures.lan import Lan, a_lan
from fixtures.packets import SERVER
from fixtures.rack import Rack
from nspawn.container import Container, booted
from nspawn.debian_root import PROJECT, netboot_wheel, root

SETTINGS = """\
network: {interfaces: [s0]}
store: {key_file: "credential:store-key"}
hooks:
  - {name: mark, events: ["*"], command: [/usr/local/bin/mark]}
  - {name: pager, events: ["*"], url: "http://192.0.2.66:9999/", secret_file: "credential:pager"}
"""
BIG = b"0123456789abcdef" * (20 << 16)  # 20 MiB
# README's step 1, without apt-get: the tree has the packages; and credentials as docs/settings.md has them.
INSTALL = """set -e
/opt/netboot/bin/pip install -q --no-deps --no-index /given/wheel/*.whl
ln -sf /opt/netboot/bin/netboot /usr/local/bin/ && install -m 644 /systemd/netboot.service /etc/systemd/system/
install -D -m 644 /systemd/netboot.sysusers.conf /etc/sysusers.d/netboot.conf && systemd-sysusers netboot.conf
install -D -m 644 /systemd/netboot.tmpfiles.conf /etc/tmpfiles.d/netboot.conf && systemd-tmpfiles --create netboot.conf
install -m 640 -g netboot /given/netboot.yaml /given/hosts.yaml /etc/netboot/
install -m 640 -g netboot /given/ign/* /etc/netboot/ign/
cp -r /given/content/media /given/content/ostree /var/lib/netboot/content/
chown -R netboot:netboot /var/lib/netboot
head -c 32 /dev/urandom > /etc/netboot/credentials/store-key
echo whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw > /etc/netboot/credentials/pager
chmod 600 /etc/netboot/credentials/*
mkdir /etc/systemd/system/netboot.service.d && cd /etc/systemd/system/netboot.service.d
printf '[Service]\\nLoadCredential=store-key:/etc/netboot/credentials/store-key\\n' > 10.conf
printf 'LoadCredential=pager:/etc/netboot/credentials/pager\\n' >> 10.conf
printf '#!/bin/sh\\ncat >> /var/lib/netboot/marked\\n' > /usr/local/bin/mark && chmod 755 /usr/local/bin/mark
systemctl daemon-reload
systemctl enable --now netboot
"""


class Unit(Rack):
    """The daemon as `netboot.service` of the container; commands run there as root."""

    def __init__(self, directory: Path, lan: Lan, container: Container) -> None:
        super().__init__(directory, lan)
        self.container = container

    def show(self, name: str) -> str:
        """Read one property of the unit."""
        return self.container.show("netboot.service", name)[name]

    @property
    def pid(self) -> int:
        """The daemon's number on this computer."""
        return self.container.pid_here(int(self.show("MainPID")))

    def restarts_after(self, restarts: int) -> None:
        """Wait until systemd has restarted the daemon and it is ready."""
        wait_until(lambda: int(self.show("NRestarts")) > restarts or None, timeout_s=START_S)
        wait_until(lambda: self.show("ActiveState") == "active" or None, timeout_s=START_S)

    def journal(self, *arguments: str) -> str:
        return self.container.run("journalctl", "-u", "netboot", "--no-pager", "-o", "cat", *arguments)

    def netboot(self, *arguments: str, status: int = 0) -> str:
        return self.container.run("netboot", *arguments, status=status)

    def drop_in(self, name: str, *lines: str) -> None:
        """Set properties of the unit, as `systemctl edit` does."""
        text = "\n".join(["[Service]", *lines, ""])
        self.container.write(f"/etc/systemd/system/netboot.service.d/{name}.conf", text, mode="644", group="root")
        self.container.run("systemctl", "daemon-reload")


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unit]:
    given = tmp_path_factory.mktemp("given")
    write_files(given, settings=SETTINGS, hosts=HOSTS)
    shutil.rmtree(given / "content" / "tree")
    (given / "content/media/ol8u10-x86_64/images/install.img").write_bytes(BIG)
    (given / "wheel").mkdir()
    netboot_wheel(given / "wheel")
    binds = {given: "/given", PROJECT / "systemd": "/systemd", PROJECT / "tests/fixtures": "/fixtures"}
    with a_lan((f"{SERVER}/24", "192.0.2.66/24")) as lan, booted(root(), lan.server, binds=binds) as container:
        container.run("sh", "-c", INSTALL)
        yield Unit(given, lan, container)


@pytest.fixture(autouse=True)
def running(unit: Unit) -> None:
    """Each test begins with the daemon running, as the unit has it."""
    unit.container.run("sh", "-c", "rm -f /etc/systemd/system/netboot.service.d/50.conf; systemctl daemon-reload")
    unit.container.run("systemctl", "start", "netboot")
