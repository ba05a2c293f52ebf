"""What a simulation prints: events of the machine, its failure, and its steps beside those of the server."""

import pytest

from netboot.cli.views.simulation.simulation_view import comparison_lines, event_line, failure_lines, summary_line
from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.comparison import ComparedStep, Comparison, MachineStep, ServerStep
from netboot.probe.machine_timeline import ClientEvent


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (ClientEvent(1.25, Step.OFFER, "got a\x1b"), "     1.2 s  offer       got a\ufffd"),
        (ClientEvent(12, Step.INITRD, "a", 1500, 0.5), "    12.0 s  initrd      a, 1.5 kB in 0.5 s"),
        (ClientEvent(12, Step.INITRD, "a", 0, 0.05), "    12.0 s  initrd      a, 0 B"),
    ],
)
def test_an_event_has_its_size_and_how_long_it_took_if_that_is_noticeable(event: ClientEvent, line: str):
    assert event_line(event) == line


def test_a_failure_has_its_sentence_what_was_seen_and_the_cure():
    failure = BootFailedError(Step.SCRIPT, "no answer\x1b", cure="start it", evidence=("a packet", "another"))

    assert list(failure_lines(failure)) == [
        "failed at script: no answer\ufffd",
        "  seen: a packet",
        "  seen: another",
        "  cure: start it",
    ]


def test_both_sides_stand_beside_each_other_and_a_difference_is_marked_and_explained():
    compared = [
        ComparedStep(Step.OFFER, MachineStep(0.1, "snponly.efi"), ServerStep(0.0, "snponly.efi", 0, 0)),
        ComparedStep(
            Step.INITRD, MachineStep(2, "initrd.img", [7, 1500]), ServerStep(1.5, "", 1400, 2), ["100 B are missing"]
        ),
        ComparedStep(Step.KICKSTART, None, ServerStep(3, "for cp1", 0, 1)),
        ComparedStep(Step.IGNITION, MachineStep(4, "w " * 50), None),
    ]
    lines = list(comparison_lines(Comparison(compared, [{"event": "boot.stalled", "text": "it waits\x1b"}])))

    half = 73  # of 160 columns without the steps
    assert lines == [
        f"  {'step':<12}{'machine':<{half}}server",
        f"  {'offer':<12}{'0.1 s  snponly.efi':<{half}}0.0 s  snponly.efi",
        f"! {'initrd':<12}{'2.0 s  initrd.img, 1.5 kB':<{half}}1.5 s  , 1.4 kB, 2 repeated requests",
        f"  {'':<12}└ 100 B are missing",
        f"  {'kickstart':<12}{'–':<{half}}3.0 s  for cp1, 1 repeated request",
        f"  {'ignition':<12}{'4.0 s  ' + 'w ' * 31 + 'w':<{half}}–",
        f"  {'':<12}{('w ' * 18).strip()}",
        "! boot.stalled: it waits\ufffd",
    ]


@pytest.mark.parametrize(
    ("differences", "troubles", "line"),
    [
        ([], 0, "the server's record agrees with the machine's"),
        (["a"], 0, "1 difference"),
        (["a", "b"], 1, "2 differences and 1 event of the server about what went wrong"),
        ([], 2, "2 events of the server about what went wrong"),
    ],
)
def test_the_last_line_counts_what_does_not_agree(differences: list[str], troubles: int, line: str):
    assert summary_line(differences, troubles) == line
