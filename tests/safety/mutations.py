"""Faults that are inserted into a copy of netboot, each with the invariant that catches it.

`before` is exact text that occurs once in the file; a test fails where it does not, so that this list follows the code.
"""

from dataclasses import dataclass

from safety.oracle import Invariant


@dataclass(frozen=True)
class Mutation:
    """One fault."""

    name: str
    file: str
    before: str
    after: str
    caught_by: Invariant


MUTATIONS = (
    Mutation(
        "any machine that the wire showed counts as every host",
        "boot/sessions/identity.py",
        "        return seen is not None and seen.mac in owner.macs\n",
        "        return seen is not None\n",
        Invariant.UNARMED,
    ),
    Mutation(
        "a script with tokens goes to whoever requests it",
        "boot/sessions/identity.py",
        "            return self.is_at(host, address)\n",
        "            return True\n",
        Invariant.UNARMED,
    ),
    Mutation(
        "a boot into the installer is not counted",
        "model/install/install.py",
        "spent=moved.arming.spent + 1",
        "spent=moved.arming.spent",
        Invariant.ATTEMPTS,
    ),
    Mutation(
        "one boot more than the arming allows",
        "model/install/install.py",
        "self.arming.spent >= self.arming.attempts",
        "self.arming.spent > self.arming.attempts",
        Invariant.ATTEMPTS,
    ),
    Mutation(
        "a new boot gets the script of the boot before",
        "boot/sessions/machines_seen.py",
        '        last_s, self.announced_s = self.announced_s, now_s\n        self.served_token = ""\n',
        "        last_s, self.announced_s = self.announced_s, now_s\n",
        Invariant.ATTEMPTS,
    ),
    Mutation(
        "the boots that were spent are not on disk",
        "store/installs.py",
        '"spent": arming.spent if arming else None,',
        '"spent": 0 if arming else None,',
        Invariant.ATTEMPTS,
    ),
    Mutation(
        "an install that is done stays armed",
        "model/install/install.py",
        "ENDS_ARMING: Final = frozenset({E.REPORTED_DONE, ",
        "ENDS_ARMING: Final = frozenset({",
        Invariant.ENDED,
    ),
    Mutation(
        "an installed system's Ignition request leaves its host armed",
        "model/install/install.py",
        "E.REPORTED_DONE, E.IGNITION_SENT, E.REPORTED_READY, E.ATTEMPTS_SPENT})",
        "E.REPORTED_DONE, E.REPORTED_READY, E.ATTEMPTS_SPENT})",
        Invariant.ENDED,
    ),
    Mutation(
        "a cancelled host stays armed",
        "model/install/install.py",
        "        return replace(self, arming=None, identity=self.identity.ended())\n",
        "        return self\n",
        Invariant.ENDED,
    ),
    Mutation(
        "a cancelled host's Kickstart is served",
        "boot/token_documents.py",
        "return install.is_armed and install.state in (InstallState.OFFERED, InstallState.LOADING)",
        "return True",
        Invariant.ENDED,
    ),
    Mutation(
        "a cancelled installer may write",
        "model/install/install.py",
        "E.CHECKS_FAILED, E.REPORTED_STARTED, E.ATTEMPTS_SPENT}\n)",
        "E.CHECKS_FAILED, E.ATTEMPTS_SPENT}\n)",
        Invariant.ENDED,
    ),
    Mutation(
        "an arming survives another disk",
        "model/install/install.py",
        "        if self.disk != now.disk:\n",
        "        if False:\n",
        Invariant.ENDED,
    ),
    Mutation(
        "an arming survives other network cards",
        "model/install/install.py",
        "        if self.macs != now.macs:\n",
        "        if False:\n",
        Invariant.ENDED,
    ),
    Mutation(
        "an arming survives the removal of its host",
        "model/install/install.py",
        '        if now is None:\n            return ["it is no longer declared in the hosts files"]\n',
        "        if now is None:\n            return []\n",
        Invariant.ENDED,
    ),
    Mutation(
        "Ignition is served after ready",
        "boot/token_documents.py",
        "return install.state is not InstallState.READY",
        "return True",
        Invariant.IGNITION,
    ),
    Mutation(
        "the tokens of the boot before stay",
        "model/install/install.py",
        "arming=arming, tokens=tokens, checks=(), identity=identity)",
        "arming=arming, tokens=self.tokens if self.tokens.kickstart else tokens, checks=(), identity=identity)",
        Invariant.IGNITION,
    ),
    Mutation(
        "a new arming keeps the tokens of the one before",
        "model/install/install.py",
        "arming=arming, tokens=Tokens(), target=target, checks=(), identity=",
        "arming=arming, target=target, checks=(), identity=",
        Invariant.IGNITION,
    ),
    Mutation(
        "every host of a role gets the init Ignition",
        "registry/hosts.py",
        "is_init=host == init,",
        'is_init=role == "control-plane",',
        Invariant.IGNITION,
    ),
    Mutation(
        "a document goes to any address",
        "boot/token_documents.py",
        "        if not is_its_own:\n            return self._refuse(Refusal.UNAUTHORISED, kind, host, address)\n",
        "",
        Invariant.ADDRESS,
    ),
    Mutation(
        "a registered address is every host's",
        "boot/sessions/identity.py",
        "        if address in owner.addresses:\n            return True\n",
        "        if self.hosts().by_address(address) is not None:\n            return True\n",
        Invariant.UNARMED,
    ),
    Mutation(
        "a host whose checks failed is installed in its next boot",
        "model/install/install.py",
        "return bool(self.checks) and bool(failures(self.checks))",
        "return False",
        Invariant.CHECKS,
    ),
    Mutation(
        "another machine than the recorded one is installed",
        "boot/decide.py",
        "    if counts and expected is not None and shown.differences(expected):\n",
        "    if False:\n",
        Invariant.IDENTITY,
    ),
    Mutation(
        "a confirmation is for every later arming",
        "model/install/machine_identity.py",
        "        return KnownIdentity(self.recorded)\n\n    def ended",
        "        return replace(self, hold=None)\n\n    def ended",
        Invariant.IDENTITY,
    ),
    Mutation(
        "the request of a wipe is not spent by its script",
        "model/install/inspection.py",
        "return replace(self.withdrawn(), medium=medium, begun_at=at, token=token, wipe=wipe)",
        "return replace(self, medium=medium, begun_at=at, token=token, wipe=wipe)",
        Invariant.WIPE,
    ),
    Mutation(
        "registering a retired machine again does not end its wipe",
        "boot/inspection_records.py",
        "which=lambda wipe: not self._registered.isdisjoint(wipe.macs)",
        "which=lambda _: False",
        Invariant.WIPE,
    ),
    Mutation(
        "the permission to wipe goes to any address",
        "boot/inspection_documents.py",
        "        if self.identification.is_own(found.mac, host, address):\n",
        "        if True:\n",
        Invariant.WIPE,
    ),
    Mutation(
        "a cancelled wipe begins",
        "model/install/inspection.py",
        'return replace(self.withdrawn(), token="", wipe=self.wipe.moved(state, at=at, note=note))',
        'return replace(self, token="", wipe=self.wipe.moved(state, at=at, note=note))',
        Invariant.WIPE,
    ),
    Mutation(
        "an inspection takes over the wipe in which its machine ended",
        "model/install/inspection.py",
        "            wipe = self.wipe_ended(WipeState.CANCELLED, INSPECTED_INSTEAD, at=at).wipe\n",
        "            wipe = self.wipe and replace(self.wipe, token=token)\n",
        Invariant.WIPE,
    ),
    Mutation(
        "the card of a host may wipe",
        "boot/inspection_documents.py",
        "        for mac in (*wipe.macs, *reported):\n",
        "        for mac in wipe.macs:\n",
        Invariant.WIPE,
    ),
    Mutation(
        "a wipe begins while the hosts files have a fault",
        "boot/decide.py",
        "wipe=wipe) if policy.is_complete else None\n",
        "wipe=wipe)\n",
        Invariant.WIPE,
    ),
    Mutation(
        "a change of the boot files hides the fault of the hosts files",
        "boot/firmware/loader_choice.py",
        "        before, loaders=made.loaders,",
        "        before, is_complete=True, loaders=made.loaders,",
        Invariant.WIPE,
    ),
    Mutation(
        "the second card of a machine begins its wipe again",
        "boot/inspection_records.py",
        "wipe=None if stored.kind is OneTimeBoot.WIPE else stored.wipe)",
        "wipe=stored.wipe) if stored.kind is not OneTimeBoot.WIPE else stored",
        Invariant.WIPE,
    ),
    Mutation(
        "the request of a rescue is not spent by its script",
        "boot/inspection_records.py",
        "                return stored.withdrawn()\n",
        "                return stored\n",
        Invariant.ONCE,
    ),
    Mutation(
        "a host is armed while its rescue is requested",
        "operate/arming.py",
        "    if request is None or request.kind is not OneTimeBoot.RESCUE:\n",
        "    if request:\n",
        Invariant.ONCE,
    ),
)

# What only two appliances on one store do wrong: the model of `two_boxes.py` finds it.
OF_TWO_BOXES = (
    Mutation(
        "a move of an install does not lock what it has read",
        "store/installs.py",
        "query = select(tables.installs).where(mine).order_by(tables.installs.c.host).with_for_update()",
        "query = select(tables.installs).where(mine).order_by(tables.installs.c.host)",
        Invariant.ATTEMPTS,
    ),
    Mutation(
        "a script is written from memory, not from the store",
        "boot/script_service.py",
        "None if host is None else await self.install_moves.read(host.name)\n            inspection",
        "None if host is None else self.install_moves.known(host.name)\n            inspection",
        Invariant.ENDED,
    ),
    Mutation(
        "the same boot gets a second token at the other appliance",
        "boot/script_service.py",
        "            self.is_shared and seen.is_in_boot_of(install.identity, self.clock)\n",
        "            False\n",
        Invariant.PROGRESS,
    ),
    Mutation(
        "a new boot gets the script of the boot before at the other appliance",
        "boot/sessions/machines_seen.py",
        "        return self.requested == boot.exchange and ago < timedelta(seconds=SHORTEST_BOOT_S)\n",
        "        return True\n",
        Invariant.ATTEMPTS,
    ),
)
