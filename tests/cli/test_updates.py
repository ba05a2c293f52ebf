"""`netboot updates` without a daemon; tests/daemon has it with one."""

from fixtures.command_line import CommandLine

NO_DAEMON = "netboot: no daemon runs; read the store itself; start it with systemctl start netboot\n"


def test_hosts_that_are_not_installed_are_listed_control_planes_first(netboot: CommandLine):
    done = netboot("updates")

    assert (done.exit_code, done.stderr) == (0, NO_DAEMON)
    step = "nothing: it is not installed, or its install recorded no commit"
    assert done.stdout == (
        "HOST\tROLE\tSTATE\tRUNS\tSTAGED\tOFFERED\tREPORTED\tNEXT\n"
        f"cp1\tcontrol-plane\tunknown\t–\t–\t–\t–\t{step}\n"
        f"w1\tworker\tunknown\t–\t–\t–\t–\t{step}\n"
    )


def test_the_board_as_json(netboot: CommandLine):
    found = netboot.json("updates")

    assert (found["registry"], found["report"], found["warnings"]) == (False, False, [])
    assert [node["host"] for node in found["nodes"]] == ["cp1", "w1"]
    assert found["nodes"][0] | {"next_step": ""} == {
        "host": "cp1",
        "role": "control-plane",
        "state": "unknown",
        "tag": "ock-1.31-amd64",
        "follows": False,
        "runs": None,
        "is_since_install": False,
        "staged": None,
        "offered": None,
        "reported_at": None,
        "booted_at": None,
        "next_command": "",
        "next_step": "",
        "warnings": [],
        "installs": found["nodes"][0]["installs"],
    }
