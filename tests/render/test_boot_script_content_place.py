"""The server of media and releases, in every document that names it."""

from netboot.content.assets import assets_directory
from netboot.model.boot.offer import InstallPlan, ScriptLanguage
from netboot.model.host.host import Host
from netboot.model.urls import ContentPlace
from netboot.render import kickstart
from netboot.render.boot_script import boot_script
from netboot.render.template_engine import Engine

BASE = "http://192.0.2.10:8080"
MIRROR = ContentPlace("http://mirror.example.org/net/")


def test_content_comes_from_the_place_and_secrets_and_reports_from_here(cp1: Host) -> None:
    engine = Engine([assets_directory() / "templates"])
    plan = InstallPlan(cp1, "k" * 32, cp1.mac)

    script = boot_script(engine, plan, ScriptLanguage.IPXE, base_url=BASE, place=MIRROR)
    menu = boot_script(engine, plan, ScriptLanguage.GRUB, base_url=BASE, place=MIRROR)
    document = kickstart.kickstart(
        engine, cp1, mac=cp1.mac, base_url=BASE, report_token="r" * 32, ignition_token="i" * 32, place=MIRROR
    )

    assert f"http://mirror.example.org/net/content/{cp1.boot_media}/vmlinuz" in script
    assert f"inst.stage2=http://mirror.example.org/net/content/{cp1.boot_media} " in script
    assert f"inst.ks={BASE}/ks/" in script
    assert f"(http,mirror.example.org)/net/content/{cp1.boot_media}/vmlinuz" in menu
    assert f"--url=http://mirror.example.org/net/ostree/{cp1.release} " in document.replace("'", "").replace('"', "")
    assert f"{BASE}/report/{'r' * 32}" in document
    assert f"{BASE}/ign/{'i' * 32}" in document


def test_without_a_place_nothing_changes(cp1: Host) -> None:
    engine = Engine([assets_directory() / "templates"])
    plan = InstallPlan(cp1, "k" * 32, cp1.mac)

    assert "mirror" not in boot_script(engine, plan, ScriptLanguage.IPXE, base_url=BASE)
