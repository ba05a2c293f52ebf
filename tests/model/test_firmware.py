"""A boot variant and what is known of a local boot are written and read in one form; why a method is used, in words."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from netboot.model.host.firmware import (
    BootVariant,
    LocalBoot,
    LocalBootMethod,
    LocalBootState,
    ReplyVariant,
    local_boot_reason,
)

AT = datetime(2026, 11, 30, 7, tzinfo=UTC)


@pytest.mark.parametrize("variant", ReplyVariant)
def test_a_boot_variant_is_read_as_it_was_written(variant: ReplyVariant):
    written = BootVariant(variant, "a directory/snponly.efi")

    assert str(written) == f"{variant.value} a directory/snponly.efi"
    assert BootVariant.parse(str(written)) == written


@pytest.mark.parametrize("text", ["", "with-43", "with-43 ", "with-44 snponly.efi"])
def test_another_text_is_refused(text: str):
    with pytest.raises(ValueError, match=r"with-4|is not a boot variant"):
        BootVariant.parse(text)


@pytest.mark.parametrize(
    ("known", "stored"),
    [
        (
            LocalBoot(LocalBootMethod.EXIT),
            {"method": "exit", "state": "untried", "returns": 0, "why": ""},
        ),
        (
            LocalBoot(
                LocalBootMethod.SANBOOT,
                LocalBootState.DOUBTED,
                2,
                AT,
                AT - timedelta(hours=1),
                LocalBootMethod.GRUB,
                "came-back",
                AT - timedelta(days=1),
            ),
            {
                "method": "sanboot",
                "state": "doubted",
                "returns": 2,
                "why": "came-back",
                "led_at": "2026-11-30T07:00:00+00:00",
                "since": "2026-11-30T06:00:00+00:00",
                "unheard": "2026-11-29T07:00:00+00:00",
                "worked": "grub",
            },
        ),
    ],
)
def test_what_is_known_of_a_local_boot_is_read_as_it_was_stored(known: LocalBoot, stored: dict[str, Any]):
    assert known.as_json() == stored
    assert LocalBoot.from_json(json.loads(json.dumps(stored))) == known


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"method": "usb", "state": "untried", "returns": 0},
        {"method": "exit", "state": "tired", "returns": 0},
        {"method": "exit", "state": "untried", "returns": None},
        {"method": "exit", "state": "untried", "returns": 0, "worked": "usb"},
        {"method": "exit", "state": "untried", "returns": 0, "led_at": "yesterday"},
    ],
)
def test_what_another_version_stored_of_a_local_boot_is_not_known(stored: dict[str, Any]):
    assert LocalBoot.from_json(stored) is None


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (LocalBoot(LocalBootMethod.EXIT), "the first method, tried"),
        (
            LocalBoot(LocalBootMethod.EXIT, LocalBootState.VERIFIED, why="ready"),
            "the installed system became ready after it",
        ),
        (LocalBoot(LocalBootMethod.EXIT, why="of another version"), "of another version"),
        (
            LocalBoot(LocalBootMethod.EXIT, LocalBootState.DOUBTED, 2),
            "the first method, tried; the machine came back at once, 2 times",
        ),
        (
            LocalBoot(LocalBootMethod.EXIT, LocalBootState.DOUBTED, why="unseen"),
            "tried, because the installed system did not show itself after the method before",
        ),
        (
            LocalBoot(LocalBootMethod.EXIT, LocalBootState.RESTING, 3, why="came-back"),
            "no method is left; this one is tried again",
        ),
    ],
)
def test_it_is_stated_why_a_method_is_used(known: LocalBoot, reason: str):
    assert local_boot_reason(known) == reason
