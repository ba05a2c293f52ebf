"""`netboot updates` without a daemon; tests/daemon has it with one."""

from fixtures.command_line import CommandLine

NO_DAEMON = "netboot: no daemon runs; read the store itself; start it with systemctl start netboot\n"


def test_hosts_that_are_not_installed_are_listed_control_planes_first(netboot: CommandLine):
    done = netboot("updates")

    assert (done.exit_code, done.stderr) == (0, NO_DAEMON)
    step = "nothing: no install of it is recorded"
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


def test_the_plan_of_a_promotion_changes_nothing(netboot: CommandLine):
    hosts = netboot.hosts.read_text().replace("release: ock-1.31-amd64", "release: stable")
    netboot.hosts.write_text(hosts)

    printed = netboot.printed("content", "promote", "ock-1.31-amd64", "stable", "--plan")

    assert printed == (
        "new installs get it: cp1, w1\n"
        "warning: the release ock-1.31-amd64 is no image, so no node is updated to it; its tag stable stays\n"
    )
    assert not (netboot.directory / "content/ostree/stable").exists()


def test_a_promotion_prints_what_it_does(netboot: CommandLine):
    netboot.printed("updates")  # there is a store then

    printed = netboot.printed("content", "promote", "ock-1.31-amd64", "next")
    found = netboot.json("content", "promote", "ock-1.31-amd64", "later")

    assert printed == (
        "next is ock-1.31-amd64 now\n"
        "warning: the release ock-1.31-amd64 is no image, so no node is updated to it; its tag next stays\n"
    )
    assert (found["name"], found["tags"], found["effects"]["nodes"]) == ("ock-1.31-amd64", [], [])


def test_the_plan_for_an_unknown_name_is_refused(netboot: CommandLine):
    done = netboot("content", "promote", "nothing", "stable", "--plan")

    assert done.exit_code == 1
    assert "there is no medium and no release nothing" in str(done.exception)


NO_EFFECT = (
    "updates.registry has no effect on w1: its release ock-1.31-amd64 was not imported as an image; "
    "netboot content import-image FILE makes a release with its image"
)


def test_a_host_that_does_not_follow_this_appliance_is_warned_of(netboot: CommandLine):
    netboot.config.write_text(netboot.config.read_text() + "updates: {registry: true}\n")

    explained = netboot.printed("explain", "w1")
    checked = netboot("check").output
    armed = netboot("install", "arm", "w1", "--force").output

    assert f"\nupdates: {NO_EFFECT}\n" in explained
    assert netboot.json("explain", "w1")["updates"] == NO_EFFECT
    assert NO_EFFECT in checked.replace("\n", " ").replace("  ", " ")
    assert NO_EFFECT in armed.replace("\n", " ").replace("  ", " ")


def test_without_the_setting_nothing_is_warned_of(netboot: CommandLine):
    assert "updates" not in netboot.printed("explain", "w1")
    assert netboot.json("explain", "w1")["updates"] is None
