"""``python -m fastimap``, and the command ``fastimap``."""

import signal
import sys


def main() -> int:
    """Run the program; return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it is imported there is nothing to tidy up
    from .cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
