"""What ends the demo early."""


class DemoError(Exception):
    """The demo can't be run, or has found a difference; the text is one line for the user that says what to do."""


class UsageError(DemoError):
    """The command line asks for what can't be."""
