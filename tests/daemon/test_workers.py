"""A daemon with content workers: what a reload may change while they run, and how they end."""

import signal

import pytest
from daemon.rack import Rack

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
KERNEL = "/content/ol8u10-x86_64/vmlinuz"


def test_a_reload_sends_no_machine_to_a_port_where_no_worker_listens(rack: Rack):
    rack.kill()
    settings = rack.config.read_text()
    rack.config.write_text(settings.replace("deltas: false", "deltas: false, workers: 1"))
    rack.start()
    rack.netboot("install", "arm", "cp1")
    cp1 = rack.machine(*CP1)

    rack.config.write_text(settings.replace("deltas: false", "deltas: false, workers: 1, port: 8082"))
    rack.signal(signal.SIGHUP)
    rack.wait_for_log("config.reloaded")
    cp1.boots()

    assert f"kernel http://192.0.2.10:8081{KERNEL}" in cp1.script()
    assert cp1.get(f"http://192.0.2.10:8081{KERNEL}").status == 200
    assert '"needs_restart": ["content"]' in rack.log
    rack.signal(signal.SIGTERM)
    assert rack.wait() == 0
    assert "content.worker_died" not in rack.log
