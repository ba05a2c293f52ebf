"""Lists the settings in force: those of the start where a change needs a restart, else those that were read last."""

from collections.abc import Iterator

from netboot.app.from_settings import NEED_RESTART
from netboot.operate.appliance.appliance_facts import SettingInForce
from netboot.registry.load import Configuration
from netboot.settings.shown_settings import ShownSetting, shown_settings


def settings_in_force(started: Configuration, read: Configuration) -> list[SettingInForce]:
    """Return every setting; `started` is the configuration of the start, `read` the one that was accepted last."""
    return list(_in_force(started, read))


def _in_force(started: Configuration, read: Configuration) -> Iterator[SettingInForce]:
    at_start = {each.key: each for each in shown_settings(started.settings, started.tree)}
    for now in shown_settings(read.settings, read.tree):
        is_kept = now.section in NEED_RESTART
        shown = at_start[now.key] if is_kept else now
        yield _setting(shown, waits_for_restart=is_kept and _differs(started, read, now))


def _differs(started: Configuration, read: Configuration, setting: ShownSetting) -> bool:
    """Return whether the file has another value of a setting, also if it is a secret."""
    section, _, key = setting.key.partition(".")
    before, after = getattr(started.settings, section), getattr(read.settings, section)
    return bool(getattr(before, key) != getattr(after, key) if key else before != after)


def _setting(shown: ShownSetting, *, waits_for_restart: bool) -> SettingInForce:
    place = shown.place
    file, line = (None, None) if place is None else (place.file, place.line)
    return SettingInForce(shown.key, shown.value, shown.description, file, line, waits_for_restart)
