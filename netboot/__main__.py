"""The entry point of `python -m netboot` and of the installed command `netboot`.

`serve` takes a second to load; a signal during this time is held until the daemon's loop handles it. A signal
before this module is loaded, while the interpreter starts, ends the process.
"""

import gc
import signal
import sys

# Objects, not 700: neither modules nor the first requests of a rack make garbage, and searching for it costs 7 %.
_GARBAGE: int = 10_000


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_GARBAGE)
    if "serve" in sys.argv[1:]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGINT, signal.SIGTERM})
    try:
        from netboot.cli.main import main as run

        run()
    except KeyboardInterrupt:  # also while the parts of the program load
        sys.exit(130)


if __name__ == "__main__":
    main()
