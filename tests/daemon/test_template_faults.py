"""Faulty templates of the site's own, from outside: `check` names them, and every machine gets a script."""

import signal
from pathlib import Path
from shutil import copyfile

import pytest
from daemon.test_beside_the_loader import tftp
from fixtures.rack import Rack

pytestmark = pytest.mark.integration

FAULTY = Path(__file__).parents[1] / "boot" / "templates"


def test_each_faulty_template_is_named_and_answered_by_a_script_that_waits(rack: Rack):
    rack.netboot("install", "arm", "cp1")
    for kind, name in (("ipxe", "local.ipxe.j2"), ("ipxe", "wait.ipxe.j2"), ("grub", "install.cfg.j2")):
        (rack.directory / "tpl" / kind).mkdir(parents=True, exist_ok=True)
        copyfile(FAULTY / name, rack.directory / "tpl" / kind / name)
    settings = rack.config.read_text().replace("files: [hosts.yaml]", "files: [hosts.yaml], unknown: wait")
    rack.config.write_text(settings + "render: {templates: [tpl]}\n")
    rack.signal(signal.SIGHUP)
    rack.wait_for_log("reload")
    reported = rack.netboot("check", status=1)
    cp1, w1 = rack.machine("52:54:00:aa:bb:01", "192.0.2.50"), rack.machine("52:54:00:12:34:56", "192.0.2.51")
    other = rack.machine("52:54:00:00:00:99", "192.0.2.99")
    w1.boots()

    unarmed, unregistered = w1.get(f"/boot/{w1.mac}.ipxe"), other.get(f"/boot/{other.mac}.ipxe")
    configurations = []
    for _ in range(3):
        cp1.boots()
        configurations.append(tftp(cp1, "grub.cfg-01-52-54-00-aa-bb-01"))
    by_http = cp1.get("/boot/52-54-00-aa-bb-01/grub.cfg")

    assert "template ipxe/local.ipxe.j2:2 uses undefined 'hostname'" in reported
    assert "template ipxe/wait.ipxe.j2:2 uses undefined 'nosuch'" in reported
    assert "template grub/install.cfg.j2:1 uses undefined 'medium_pth'" in reported
    assert (unarmed.status, unarmed.body.splitlines()[0]) == (200, "#!ipxe")
    assert "a template on the server is faulty" in unarmed.body
    assert (unregistered.status, unregistered.body.splitlines()[0]) == (200, "#!ipxe")
    assert by_http.status == 200
    for configuration in (*configurations, by_http.body):
        assert "configfile" in str(configuration)
    install = rack.install("cp1")
    assert (install["armed"], install["arming"]["spent"]) == (True, 0)
    assert "Traceback" not in rack.log
