"""Runs a command with an event on its standard input, once."""

from netboot.model.hook import CommandTarget
from netboot.operate.hooks.attempt import ANSWER_BYTES, Accepted, Failed, Outcome, line_of_answer
from netboot.operate.hooks.hook_message import HookMessage
from netboot.operate.programs.bounded_program import run_program


async def run_command(target: CommandTarget, message: HookMessage, *, timeout_s: float) -> Outcome:
    """Run a command; exit code 0 is a success. After `timeout_s`, and if cancelled, its process group is killed."""
    try:
        ended = await run_program(
            target.command, timeout_s=timeout_s, most_bytes=ANSWER_BYTES, standard_input=message.body.encode()
        )
    except (OSError, ValueError) as error:  # ValueError: an argument that is not UTF-8
        return Failed(f"cannot run {target}: {getattr(error, 'strerror', None) or 'an argument is no text'}")
    if ended.status is None:
        return Failed(f"{target} did not end within {timeout_s:g} s and was killed")
    answer = f"{ended.ending} {line_of_answer(ended.output)}".strip()
    return Accepted(answer) if ended.status == 0 else Failed(f"{target}: {answer}")
