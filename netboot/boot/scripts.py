"""Always writes a script for a machine: if a template fails, the script that waits, from the built-in template.

Decides nothing and changes no state.
"""

from dataclasses import dataclass, field, replace

from netboot.boot.documents import Documents
from netboot.errors import NetbootError, RenderError
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, ScriptLanguage, ScriptPlan, WaitPlan, WaitReason


@dataclass(frozen=True, slots=True)
class Script:
    """What a machine gets, and the fault for which it is not what was planned."""

    plan: ScriptPlan
    text: str = field(repr=False)  # holds tokens
    fault: NetbootError | None = None


@dataclass(frozen=True, slots=True)
class ScriptWriter:
    """Writes the script of one request; `base_url` is this server as the machine reaches it."""

    documents: Documents
    language: ScriptLanguage
    base_url: str

    def write(self, plan: ScriptPlan) -> Script:
        """Write the script for a plan, or one that waits."""
        try:
            return Script(plan, self.documents.script(plan, self.language, base_url=self.base_url))
        except RenderError as error:
            waiting = _waiting_plan(plan)
            return Script(waiting, self.documents.built_in_wait(waiting, self.language, base_url=self.base_url), error)

    def write_waiting(self, plan: WaitPlan, fault: NetbootError) -> Script:
        """Write a script that waits because of a fault."""
        return replace(self.write(plan), fault=fault)


def _waiting_plan(plan: ScriptPlan) -> WaitPlan:
    match plan:
        case InstallPlan(mac=mac, host=host):
            return WaitPlan(mac, WaitReason.NOT_READY, host)
        case LocalBootPlan(mac=mac, host=local_host):
            return WaitPlan(mac, WaitReason.TEMPLATE_FAULT, local_host)
        case WaitPlan():
            return plan
