"""Why a simulated machine cannot go on: what its firmware, loader or installer would do at that point."""

from netboot.errors import NetbootError
from netboot.model.install.event import Step


class BootFailedError(NetbootError):
    """A boot ends at a step: one sentence, what was seen (packets, headers, sizes), and what to do."""

    def __init__(self, step: Step, sentence: str, *, cure: str, evidence: tuple[str, ...] = ()) -> None:
        super().__init__(f"{sentence}; {cure}")
        self.step = step
        self.sentence = sentence
        self.cure = cure
        self.evidence = evidence
