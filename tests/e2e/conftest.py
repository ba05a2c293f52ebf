"""Runs the selected coroutine tests of this package, two at a time, each in a lab of its own.

A guest uses one core and mostly waits, so two at once take hardly longer than one. Every test makes
its own LAN, appliance and machines: they share nothing but the media, and their order does not matter.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

AT_ONCE = 2

_RUNNER: pytest.StashKey[asyncio.Runner] = pytest.StashKey()
_STORIES: pytest.StashKey[dict[str, asyncio.Task[None]]] = pytest.StashKey()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the coroutine tests of this package at the end: a test between them would meet their labs, and stop them."""
    items.sort(key=_is_story)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test of this package to its end, while the others of this package run beside it."""
    if not _is_story(pyfuncitem):
        return None
    session = pyfuncitem.session
    if _RUNNER not in session.stash:
        session.stash[_RUNNER] = asyncio.Runner()
        session.stash[_STORIES] = session.stash[_RUNNER].run(_start_all(session))
    session.stash[_RUNNER].run(_ended(session.stash[_STORIES][pyfuncitem.nodeid]))
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Cancel the running tests; each lab removes itself."""
    if _RUNNER in session.stash:
        session.stash[_RUNNER].close()


async def _start_all(session: pytest.Session) -> dict[str, asyncio.Task[None]]:
    slots = asyncio.Semaphore(AT_ONCE)
    return {
        item.nodeid: asyncio.create_task(_play(partial(item.obj, **_parameters(item)), slots), name=item.name)
        for item in session.items
        if isinstance(item, pytest.Function) and _is_story(item)
    }


async def _play(story: Callable[[], Awaitable[None]], slots: asyncio.Semaphore) -> None:
    async with slots:
        await story()


def _parameters(item: pytest.Function) -> dict[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


async def _ended(story: asyncio.Task[None]) -> None:
    await story


def _is_story(item: pytest.Item) -> bool:
    """Whether this is a coroutine test of this package; those of other packages run alone, before these."""
    return (
        isinstance(item, pytest.Function)
        and inspect.iscoroutinefunction(item.obj)
        and item.path.is_relative_to(Path(__file__).parent)
    )
