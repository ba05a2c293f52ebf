"""Delivers a message to the receiver of a hook, once, whatever its kind."""

from collections.abc import Callable
from datetime import datetime
from typing import Self, assert_never

from netboot.model.hook import CommandTarget, Hook, WebTarget
from netboot.operate.hooks.attempt import Outcome
from netboot.operate.hooks.hook_command import run_command
from netboot.operate.hooks.hook_message import HookMessage
from netboot.operate.hooks.webhook import WebhookSender


class Receivers:
    """The web servers and commands of all hooks; an async context manager."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._web = WebhookSender(now=now)

    async def __aenter__(self) -> Self:
        await self._web.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._web.__aexit__(*error)

    def forget_authorities(self) -> None:
        """Read the CAs of web servers again before the next request."""
        self._web.forget_authorities()

    async def deliver(self, hook: Hook, message: HookMessage) -> Outcome:
        """Deliver a message within the time of the hook."""
        match hook.target:
            case WebTarget():
                return await self._web.send(hook.target, message, timeout_s=hook.timeout_s)
            case CommandTarget():
                return await run_command(hook.target, message, timeout_s=hook.timeout_s)
            case _:
                assert_never(hook.target)
