"""What is said in several rooms, and what the library's advice is called on the command line."""

from __future__ import annotations

__all__ = ["GO_ON", "here"]

GO_ON = "; what was done stays done, the same command goes on"
"""What is said where something ends before its end."""

_HERE = {
    "ssl_context=ssl.create_default_context(cafile=...)": "--ca FILE (ca in the configuration)",
    'try tls="starttls", or port 993': "try a URL imap://user@host:port (STARTTLS), or port 993",
    "needs tls=True": "needs a URL imaps://user@host:port",
    "account= says which": "--of says which",
    "name= says what": "--name says what",
    "name=, --name": "--name",
    "adopt=True (--adopt)": "--adopt",
    "verify --repair (repair=True)": "verify --repair",
    "whole messages (body=True)": "whole messages (--body)",
    "move_to=": "--move-to ",
    "max_delete is a number": "--max-delete is a number",
    "(max_delete)": "(--max-delete)",
    "deleted='delete': ": "--deleted delete: ",
}


def here(text: str) -> str:
    """Return a text of the library in the words of the command line."""
    for word, ours in _HERE.items():
        text = text.replace(word, ours)
    return text
