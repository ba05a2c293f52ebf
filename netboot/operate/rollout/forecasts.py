"""The forecast of the active rollout, computed in a thread and kept for some seconds: pages follow a rollout live."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.model.host.host import HostName
from netboot.model.install.install import Install
from netboot.model.rollout.rollout import Rollout, RolloutState
from netboot.operate.rollout.decision.forecast import Forecast, forecast
from netboot.operate.rollout.decision.observed import ObservedInstall, Rules
from netboot.operate.rollout.decision.schedule import Durations
from netboot.operate.rollout.ocne.ocne_files import ClusterFiles
from netboot.store.sealing.sealing import token_digest

KEPT: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class _DatedForecast:
    """A forecast, with the rollout and the state that it is of."""

    rollout: int
    state: RolloutState
    made_at: datetime
    forecast: Forecast


class Forecasts:
    """`known`: the install of a host in memory."""

    def __init__(
        self,
        files: ClusterFiles,
        known: Callable[[HostName], Install],
        durations: Callable[[], ExpectedDurations],
        *,
        rules: Rules,
    ) -> None:
        self._files, self._known, self._durations, self._rules = files, known, durations, rules
        self._lock = asyncio.Lock()  # of many who request it at once, one computes it
        self._kept: _DatedForecast | None = None

    async def of(self, rollout: Rollout, *, now: datetime) -> Forecast | None:
        """Return the forecast of a rollout, at most `KEPT` old; None: it is not active."""
        if not rollout.is_active:
            return None
        async with self._lock:
            kept = self._kept
            if kept is None or not _is_fresh(kept, rollout, now):
                installs = {each.host: _observed(self._known(each.host)) for each in rollout.hosts if not each.is_over}
                made = await asyncio.to_thread(self._made, rollout, installs, now)
                kept = self._kept = _DatedForecast(rollout.id, rollout.state, now, made)
            return kept.forecast

    def forget(self) -> None:
        """Compute the next forecast anew: an operator changed the rollout."""
        self._kept = None

    def _made(self, rollout: Rollout, installs: dict[HostName, ObservedInstall], now: datetime) -> Forecast:
        usual = Durations.of(self._durations())
        return forecast(rollout, installs, self._files.in_place(), rules=self._rules, durations=usual, now=now)


def _is_fresh(kept: _DatedForecast, rollout: Rollout, now: datetime) -> bool:
    is_same = (kept.rollout, kept.state) == (rollout.id, rollout.state)
    return is_same and timedelta(0) <= now - kept.made_at < KEPT


def _observed(install: Install) -> ObservedInstall:
    return ObservedInstall.of(install, token_digest(install.tokens.ignition))
