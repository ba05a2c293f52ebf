"""Text of machines, as it is stored and shown."""

from netboot.boot.records.shown_text import report_shown, shown
from netboot.model.install.token import Tokens

TOKENS = Tokens("ab" * 16, "cd" * 16, "ef" * 16)


def test_a_line_has_no_token_no_value_of_the_host_and_no_control_character():
    line = f"\x1b[2J/ks/{'ab' * 16} {'01' * 16} my value --token abcdef.0123456789abcdef"

    assert shown(line, TOKENS, ["my value"]) == (
        "\N{REPLACEMENT CHARACTER}[2J/ks/TOKEN-HIDDEN TOKEN-HIDDEN hidden --token hidden"
    )


def test_a_report_keeps_its_lines_and_the_names_of_disks():
    report = (
        f"rootpw my value\nfailed: http://192.0.2.1/report/{'ef' * 16}/done\ndisks present:\nnvme0n1 eui.{'36' * 16}\n"
    )

    assert report_shown(report, TOKENS, ["my value"]) == (
        f"rootpw hidden\nfailed: http://192.0.2.1/report/TOKEN-HIDDEN/done\ndisks present:\nnvme0n1 eui.{'36' * 16}\n"
    )
