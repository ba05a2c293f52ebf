"""Makes the administration from the use cases that it serves: its application, and what listens for it."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from aiohttp import web

from netboot.admin.access.csrf import FormTokens
from netboot.admin.api.access.session_api import SessionApi
from netboot.admin.api.access.tokens_api import TokensApi
from netboot.admin.api.access.users_api import UsersApi
from netboot.admin.api.activity.activity_api import ActivityApi
from netboot.admin.api.activity.throughput_api import ThroughputApi
from netboot.admin.api.appliance.appliance_api import ApplianceApi
from netboot.admin.api.appliance.cluster_api import ClusterApi
from netboot.admin.api.appliance.facts_api import FactsApi
from netboot.admin.api.appliance.health_api import HealthApi
from netboot.admin.api.appliance.hooks_api import HooksApi
from netboot.admin.api.appliance.openapi_api import OpenapiApi
from netboot.admin.api.appliance.support_api import SupportApi
from netboot.admin.api.boots.boots_api import BootsApi
from netboot.admin.api.boots.captures_api import CapturesApi
from netboot.admin.api.boots.logs_api import LogsApi
from netboot.admin.api.content.content_api import ContentApi
from netboot.admin.api.content.image_api import ImageApi
from netboot.admin.api.content.upload_api import UploadApi
from netboot.admin.api.hosts.host_actions_api import HostActionsApi
from netboot.admin.api.hosts.host_changes_api import HostChangesApi
from netboot.admin.api.hosts.installs_api import InstallsApi
from netboot.admin.api.hosts.one_time_boots_api import OneTimeBootsApi
from netboot.admin.api.hosts.plans_api import PlansApi
from netboot.admin.api.power.bmc_api import BmcApi
from netboot.admin.api.power.power_api import PowerApi
from netboot.admin.api.rollouts.rollouts_api import RolloutsApi
from netboot.admin.api.updates.updates_api import UpdatesApi
from netboot.admin.application import Routes, admin_application
from netboot.admin.pages.access.login_page import LoginPages
from netboot.admin.pages.access.users_page import UsersPages
from netboot.admin.pages.actions.action_requests import ActionRequests
from netboot.admin.pages.actions.confirmation_pages import ConfirmationPages
from netboot.admin.pages.appliance.activity_page import ActivityPages
from netboot.admin.pages.appliance.appliance_page import AppliancePages
from netboot.admin.pages.appliance.throughput_page import ThroughputPages
from netboot.admin.pages.boots.machine_boots import MachineBoots
from netboot.admin.pages.cluster.cluster_page import ClusterPage
from netboot.admin.pages.content.content_page import ContentPage
from netboot.admin.pages.content.image_pages import ImagePages
from netboot.admin.pages.hosts.host_pages import HostPages
from netboot.admin.pages.machines.machine_pages import MachinePages
from netboot.admin.pages.page_engine import PageEngine
from netboot.admin.pages.power.power_pages import PowerPages
from netboot.admin.pages.rack.rack_page import RackPage
from netboot.admin.pages.rollout.rollout_page import RolloutPage
from netboot.admin.pages.rollout.rollout_requests import RolloutRequests
from netboot.admin.pages.updates.updates_page import UpdatesPage
from netboot.app.administration.admin_listener import AdminListener
from netboot.app.administration.facts_here import check_command, facts_here
from netboot.app.administration.written_hosts import WrittenHosts
from netboot.boot.live_registry import LiveRegistry
from netboot.content.assets import assets_directory
from netboot.events.activity import ActivityLog
from netboot.model.admin_listen import host_of
from netboot.operate.access.access_uses import AccessUses
from netboot.operate.administration import Administration
from netboot.operate.appliance.appliance_checks import ApplianceChecks
from netboot.operate.appliance.appliance_facts import SettingInForce
from netboot.operate.content.content_administration import ContentAdministration
from netboot.operate.hooks.hook_uses import HookUses
from netboot.operate.planning.host_plans import HostPlans
from netboot.operate.rack.rack_overview import RackOverview
from netboot.operate.rollout.rollout_uses import RolloutUses
from netboot.operate.support.support_archive import SupportArchive
from netboot.operate.updates.updates import Updates
from netboot.settings.settings import Settings
from netboot.telemetry.health import Health
from netboot.telemetry.metrics import Metrics
from netboot.telemetry.throughput import Throughput


@dataclass(frozen=True, slots=True)
class AdminParts:
    """The use cases that the administration serves."""

    administration: Administration
    metrics: Metrics
    _: KW_ONLY
    content: ContentAdministration
    hooks: HookUses
    check_health: Callable[[], Awaitable[Health]]
    now: Callable[[], datetime]
    make_support: Callable[[str | None], Awaitable[SupportArchive]]
    registry: LiveRegistry
    base_url: Callable[[], str]  # of this server, as machines get it
    throughput: Throughput
    activity: ActivityLog
    settings: Settings
    settings_in_force: Callable[[], Sequence[SettingInForce]]
    access: AccessUses
    rack: RackOverview
    updates: Updates
    rollouts: RolloutUses
    store_events: Callable[[], asyncio.Future[bool]]

    def application(self, *, configuration: Path, public_host: str = "") -> web.Application:
        """Make the application that every listener serves; `public_host` is that of `admin.public_url`."""
        last_event_id = self.administration.last_event_id
        engine = PageEngine(assets_directory() / "pages", last_event_id=last_event_id, now=self.now)
        plans = HostPlans(
            self.administration.install, self.registry, self.base_url, WrittenHosts(configuration).values_of
        )
        checks = ApplianceChecks(check_command(configuration), now=self.now)
        pages = [*self._pages(engine), *self._host_pages(engine, plans)]
        parts = [*pages, *self._api(plans), *self._of_the_appliance(engine, checks)]
        self.metrics.read_gauges(self.access.readings)
        application = admin_application(
            parts,
            engine,
            configuration=configuration,
            access=self.access,
            forms=FormTokens(secrets.token_bytes(32)),
            metrics=self.metrics,
            store_events=self.store_events,
            public_host=public_host,
        )
        application.on_cleanup.append(lambda _: checks.close())
        return application

    def listener(self, *, configuration: Path) -> AdminListener:
        """Make what listens for administrators; `configuration` is the daemon's file, links resolved."""
        settings = self.settings
        return AdminListener(
            settings.admin,
            self.application(configuration=configuration, public_host=host_of(settings.admin.public_url) or ""),
            boot_interfaces=[each.name for each in settings.network.interfaces],
            metrics=self.metrics,
            now=self.now,
        )

    def _of_the_appliance(self, engine: PageEngine, checks: ApplianceChecks) -> list[Routes]:
        facts = partial(facts_here, self.settings)
        page = AppliancePages(
            self.administration,
            engine,
            check_health=self.check_health,
            facts=facts,
            settings=self.settings_in_force,
            hooks=self.hooks,
            checks=checks,
        )
        return [page, FactsApi(self.settings_in_force, facts, checks)]

    def _pages(self, engine: PageEngine) -> list[Routes]:
        return [
            ActivityPages(self.activity, engine, now=self.now),
            ThroughputPages(self.throughput, engine, now=self.now),
            ContentPage(self.content, engine, plan=self.updates.plan),
            ImagePages(self.content, engine),
            RackPage(self.rack, engine, updates=self.updates.board, rollouts=self.rollouts.board),
            UpdatesPage(self.updates.board, engine),
            ClusterPage(self.administration, engine, made=self.rollouts.files_made, now=self.now),
            RolloutPage(self.rollouts, engine, hosts=self.registry.hosts, now=self.now),
            RolloutRequests(self.rollouts, engine, hosts=self.registry.hosts),
            LoginPages(self.access.logins, engine),
            UsersPages(self.access, engine),
        ]

    def _host_pages(self, engine: PageEngine, plans: HostPlans) -> list[Routes]:
        administration = self.administration
        boots = MachineBoots(administration.boots, administration.logs, administration.captures, self.now)
        confirmations = ConfirmationPages(ActionRequests(administration), engine)
        machines = MachinePages(administration, self.registry.hosts, boots, engine)
        hosts = HostPages(administration, plans, boots, engine, updates=self.updates.board)
        return [hosts, PowerPages(administration, engine), confirmations, machines]

    def _api(self, plans: HostPlans) -> list[Routes]:
        administration, metrics = self.administration, self.metrics
        return [
            ApplianceApi(administration, metrics),
            InstallsApi(administration),
            PlansApi(plans),
            ContentApi(self.content),
            ImageApi(self.content),
            UploadApi(self.content.uploads),
            HostActionsApi(administration.host_actions),
            HostChangesApi(administration.host_changes),
            OneTimeBootsApi(administration.one_time_boots),
            ClusterApi(administration),
            HealthApi(self.check_health),
            HooksApi(self.hooks),
            LogsApi(administration.logs, metrics),
            BootsApi(administration.boots),
            CapturesApi(administration.captures),
            SupportApi(self.make_support),
            UsersApi(self.access.users),
            TokensApi(self.access.tokens),
            SessionApi(),
            OpenapiApi(),
            ThroughputApi(self.throughput),
            ActivityApi(self.activity, now=self.now),
            UpdatesApi(self.updates),
            PowerApi(administration),
            BmcApi(administration),
            RolloutsApi(self.rollouts),
        ]
