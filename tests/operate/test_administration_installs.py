"""The requests of an operator about installs and Ignition files: names, cancelling, a store that fails."""

import pytest
from fixtures.role_files import SAMPLES
from fixtures.services import MAC, UNKNOWN_MAC, BuiltServices, WithServices
from fixtures.site import Site
from operate.test_administration import FAULT, OPERATOR, W1, Appliance, administration, audits
from sqlalchemy import text

from netboot.errors import ConfigError, StoreError, UnknownHostError
from netboot.model.host.mac import Mac
from netboot.model.host.role_ignition import RoleUse
from netboot.operate.arming import ArmRequest, CancelRequest
from netboot.operate.cluster.role_file_uses import IgnitionRequest


def test_a_host_is_found_by_name_and_by_card_and_another_machine_by_its_mac_alone(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        admin = administration(services)
        found = [await admin.known_machine(name) for name in ("cp1", str(MAC).upper(), UNKNOWN_MAC)]
        with pytest.raises(UnknownHostError, match="no host is called cp9; the registry has: cp1, w1"):
            await admin.known_machine("cp9")
        assert [isinstance(each, Mac) for each in found] == [False, False, True]
        return [str(each) for each in found]

    assert with_services(scenario) == ["cp1", "cp1", UNKNOWN_MAC]


def test_several_armings_are_cancelled_once_each_and_of_none_if_a_name_is_unknown(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[list[str], list[str]]:
        admin = administration(services)
        await admin.arm(ArmRequest(["w1", "cp1"]))
        with pytest.raises(UnknownHostError):
            await admin.cancel_all(CancelRequest(["w1", "w9"]))
        still = [each.install.host for each in await admin.installs() if each.install.is_armed]
        done = await admin.cancel_all(CancelRequest(["w1", "cp1", "w1"], "no\nmore"))
        assert (await admin.history("w1"))[-1].note == "no more"
        return still, [each.status.install.host for each in done if not each.status.install.is_armed]

    assert with_services(scenario) == (["cp1", "w1"], ["w1", "cp1"])


def test_while_the_store_fails_a_daemon_has_the_install_of_a_declared_host_from_memory(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await administration(services).arm(ArmRequest(["w1"]))
        async with services.database.transaction() as connection:
            await connection.execute(text("DROP TABLE installs"))

        report = await administration(services, daemon=Appliance()).install("w1")
        assert (report.status.install.host, report.status.install.is_armed) == (W1, True)
        assert "no such table: installs" in str(report.cause)
        for admin, name in ((administration(services), "w1"), (administration(services, daemon=Appliance()), "w9")):
            with pytest.raises(StoreError):
                await admin.install(name)

    with_services(scenario)


@pytest.mark.parametrize(("fault", "kept"), [(None, ""), (ConfigError([FAULT]), str(FAULT))])
def test_a_taken_ignition_file_is_in_the_audit_trail_and_the_daemon_reads_the_hosts_again(
    with_services: WithServices, site: Site, fault: ConfigError | None, kept: str
):
    roles = "roles: {worker: {ignition: {join: taken/w.ign}}}"
    site.write("hosts.yaml", f"{roles}\nhosts: {{w1: {{role: worker, mac: 52:54:00:00:00:11}}}}\n")
    (site.directory / "taken").mkdir()
    content = (SAMPLES / "worker-join.ign").read_bytes()

    async def scenario(services: BuiltServices) -> tuple[list[str], list[tuple[object, ...]]]:
        services.use(hosts=site.read().hosts)
        request = IgnitionRequest(RoleUse.WORKER, content)
        assert await administration(services).ignition_of_another_cluster(request) == []
        taken = [
            await administration(services, daemon=daemon).set_ignition(request, actor=OPERATOR)
            for daemon in (None, Appliance(fault))
        ]
        return [str(each.kept or "") for each in taken], await audits(services)

    found, recorded = with_services(scenario)

    assert found == ["", kept]
    assert recorded == [("set ignition", "worker", "uid 1000", "done", None)] * 2
    assert (site.directory / "taken/w.ign").read_bytes() == content
