"""``python -m fastimap``, and the command ``fastimap``."""

import gc
import sys


def main() -> int:
    """Run the program; return its exit status. An interrupt during the imports is none of a traceback either."""
    try:
        gc.set_threshold(50_000)  # modules and rows are many objects, and none of them is garbage that only this finds
        from .cli import main as program

        return program()
    except KeyboardInterrupt:
        print("fastimap: interrupted", file=sys.stderr)
        return 130
    finally:
        gc.freeze()  # the process ends: nothing is gained by looking through all that was imported


if __name__ == "__main__":
    sys.exit(main())
