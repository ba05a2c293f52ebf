"""Always writes a script for a machine: if its template fails, the script that waits, from the built-in template.

`boot.script_service` writes one from the site's template first if the installer's fails. Changes no state.
"""

from dataclasses import dataclass, field, replace

from netboot.boot.documents.documents import Documents
from netboot.errors import NetbootError, RenderError
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, ScriptLanguage, ScriptPlan, WaitPlan, WaitReason
from netboot.model.host.firmware import LocalBootMethod


@dataclass(frozen=True, slots=True)
class Script:
    """The script that a machine gets, and the fault if it is not the planned one."""

    plan: ScriptPlan
    text: str = field(repr=False)  # holds tokens
    fault: NetbootError | None = None


@dataclass(frozen=True, slots=True)
class ScriptWriter:
    """Writes the script of one request; `base_url` is this server as the machine reaches it.

    `local_boot`: how a script leads the machine to its disk; None: as is the first for its platform.
    """

    documents: Documents
    language: ScriptLanguage
    base_url: str
    local_boot: LocalBootMethod | None = None

    def render(self, plan: ScriptPlan) -> str:
        """Render the script for a plan; raise RenderError."""
        return self.documents.script(plan, self.language, base_url=self.base_url)

    def write(self, plan: ScriptPlan, fault: NetbootError | None = None) -> Script:
        """Write the script for a plan, or one that waits; `fault` is why the plan is one that waits."""
        if isinstance(plan, LocalBootPlan):
            plan = replace(plan, method=self.local_boot)
        try:
            return Script(plan, self.render(plan), fault)
        except RenderError as error:
            if not isinstance(plan, WaitPlan):
                reason = WaitReason.NOT_READY if isinstance(plan, InstallPlan) else WaitReason.TEMPLATE_FAULT
                plan = WaitPlan(plan.mac, reason, plan.host)
            text = self.documents.script(plan, self.language, base_url=self.base_url, is_built_in=True)
            return Script(plan, text, fault or error)
