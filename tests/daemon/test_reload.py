"""`netboot reload` with a daemon: what is applied, what is kept and why, and the exit code for systemd."""

import json

import pytest
from fixtures.rack import Rack

pytestmark = pytest.mark.integration


def test_what_was_taken_and_what_waits_for_a_restart_is_printed(rack: Rack):
    hosts, config = rack.directory / "hosts.yaml", rack.config
    hosts.write_text(hosts.read_text() + "  w2: {role: worker, mac: 52:54:00:12:34:57}\n")
    config.write_text(config.read_text().replace("level: debug", "level: info"))

    done = rack.run("reload")

    assert done.stdout.splitlines() == [
        "reloaded: 3 hosts",
        "changed, and in force after systemctl restart netboot: log",
    ]
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(rack.run("reload", "--json").stdout)["hosts"] == 3


def test_files_that_are_rejected_are_named_and_the_exit_code_is_2(rack: Rack):
    hosts = rack.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("role: worker", "rol: worker"))

    done = rack.run("reload")

    assert (done.returncode, done.stdout) == (2, "")
    assert "hosts.w1.rol: " in done.stderr
    assert done.stderr.splitlines()[-1].endswith(
        "the daemon keeps the last accepted configuration; correct the files, then reload"
    )
    assert json.loads(rack.run("reload", "--json").stdout)["ok"] is False
    assert "config.rejected" in rack.log


def test_settings_that_cannot_be_read_are_named_and_the_exit_code_is_2(rack: Rack):
    rack.config.write_text(rack.config.read_text().replace("level: debug", "lvl: debug"))
    hosts = rack.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("role: worker", "rol: worker"))

    done = rack.run("reload")

    assert (done.returncode, done.stdout) == (2, "")
    assert "log.lvl: no such setting" in done.stderr
    assert "hosts.w1.rol: " in done.stderr
    assert [line["problem"] for line in rack.lines("config.rejected")] == done.stderr.splitlines()[:-1]


def test_settings_that_are_no_yaml_are_named_though_the_socket_is_not_known(rack: Rack):
    rack.config.write_text("admin: {")

    done = rack.run("reload")

    assert (done.returncode, done.stdout) == (2, "")
    assert f"{rack.config}:1:" in done.stderr


def test_a_reload_that_empties_the_hosts_files_warns_and_names_the_hosts(rack: Rack):
    rack.netboot("install", "arm", "w1")
    (rack.directory / "hosts.yaml").write_text("hosts: {}\n")

    done = rack.run("reload")

    cure = "; if that is a mistake, restore the hosts files and reload"
    warnings = [
        f"no host is declared any longer; removed: cp1, w1{cure}",
        f"armed hosts are no longer declared, so their armings ended: w1{cure}",
    ]
    assert done.stdout.splitlines()[0] == "reloaded: 0 hosts"
    assert [line for line in done.stdout.splitlines() if line.startswith("warning: ")] == [
        f"warning: {warning}" for warning in warnings
    ]
    assert (done.returncode, [line["reason"] for line in rack.lines("config.hosts_removed")]) == (0, warnings)


def test_without_a_daemon_the_exit_code_is_1(rack: Rack):
    rack.kill()

    done = rack.run("reload")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("netboot: no daemon listens on ")


def test_a_removed_setting_is_named_by_check_and_in_the_log_and_changes_nothing(rack: Rack):
    config = rack.config
    config.write_text(config.read_text().replace("deltas: false", "deltas: false, workers: 2"))
    line, column = next(
        (number, text.index("workers") + 1)
        for number, text in enumerate(config.read_text().splitlines(), 1)
        if "workers" in text
    )
    warning = f"{config}:{line}:{column}: content.workers: was removed and has no effect; remove it; "

    checked, reloaded = rack.run("check"), rack.run("reload")

    assert f"warning: {warning}" in checked.stderr
    done, warned = reloaded.stdout.splitlines()
    assert done == "reloaded: 2 hosts"
    assert warned.startswith(f"warning: {warning}")
    assert '"config.setting_removed"' in rack.log
    assert warning in rack.log
