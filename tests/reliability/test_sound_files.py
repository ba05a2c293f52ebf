"""The readers of what a killed daemon leaves: only what a kill can cut off is left out."""

from pathlib import Path

import pytest
from reliability.sound_files import cut_off, log_line, whole_lines

ONE, TWO = '{"at": "1", "text": "one"}', '{"at": "2", "text": "two"}'
CUT = '{"at": "3", "te'


def test_the_last_line_of_a_killed_file_may_be_cut_off_also_after_more_was_appended(tmp_path: Path):
    log = tmp_path / "1.log"
    log.write_text(f"{ONE}\n{CUT}")
    killed = {cut_off(log)}
    before = whole_lines(log, killed)
    log.write_text(f"{ONE}\n{CUT}\n{TWO}\n")

    assert before == [log_line(ONE)]
    assert whole_lines(log, killed) == [log_line(ONE), log_line(TWO)]


def test_a_whole_line_without_its_end_is_a_line_once_more_was_appended(tmp_path: Path):
    log = tmp_path / "1.log"
    log.write_text(ONE)
    killed = {cut_off(log)}
    log.write_text(f"{ONE}\n{TWO}\n")

    assert whole_lines(log, killed) == [log_line(ONE), log_line(TWO)]


@pytest.mark.parametrize("damaged", ["\0\0\0\0", CUT, '{"at": "4", "text": \ufffd}', ""])
def test_any_other_line_that_is_not_whole_is_a_fault(tmp_path: Path, damaged: str):
    log = tmp_path / "1.log"
    log.write_text(f"{ONE}\n{damaged}\n{TWO}\n")

    with pytest.raises(ValueError, match=r"1\.log: line 2 is damaged, and no kill cut it off"):
        whole_lines(log, {cut_off(log)} - {b""})
