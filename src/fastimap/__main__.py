"""``python -m fastimap``, and the command ``fastimap``."""

import sys


def main() -> int:
    """Run the program; return its exit status. An interrupt during the imports is none of a traceback either."""
    try:
        from .cli import main as program

        return program()
    except KeyboardInterrupt:
        print("fastimap: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
