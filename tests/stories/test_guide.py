"""The blocks of docs/guide.md run as they stand, in their order, against a real Dovecot."""

from __future__ import annotations

import ast
import asyncio
import base64
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, AsyncClient, Client, UIDSet
from tests.servers.dovecot import Dovecot
from tests.support import PROJECT

GUIDE = (PROJECT / "docs" / "guide.md").read_text("utf-8")
BLOCKS: list[str] = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
PICTURE = b"""From: Bob <bob@example.org>
Subject: a picture
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/plain

look
--x
Content-Type: image/png; name="dot.png"
Content-Transfer-Encoding: base64

iVBORw==
--x--
""".replace(b"\n", b"\r\n")
MESSAGES = (b"From: Ann <ann@example.org>\r\nSubject: hello\r\n\r\nworld\r\n", PICTURE)


def run(source: str, names: dict[str, Any]) -> None:
    """Run a block in which `names` are known, `await` at its top level too."""
    result = eval(compile(source, "guide.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.iscoroutine(result):

        async def main() -> None:
            await result

        asyncio.run(main())


def test_the_guide(
    dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user = dovecot.new_user()
    given = {"tls": False, "mechanism": "PLAIN"}

    def here(cls: type[Any]) -> Any:
        """The client of the guide's account, on this Dovecot instead of imap.example.org."""

        def make(host: str | Account, **arguments: Any) -> Any:
            given_user = host.user if isinstance(host, Account) else arguments.pop("user")
            assert (host.host if isinstance(host, Account) else host, given_user) == ("imap.example.org", "me")
            return cls(dovecot.host, dovecot.port, user=user, **given, **arguments)

        return make

    with Client(dovecot.host, dovecot.port, user=user, password=dovecot.password, **given) as client:  # type: ignore[arg-type]
        for message in MESSAGES:
            client.append("INBOX", message)
        monkeypatch.setattr("fastimap.Client", here(Client))
        monkeypatch.setattr("fastimap.AsyncClient", here(AsyncClient))
        names: dict[str, Any] = {"password": dovecot.password, "directory": tmp_path}
        for block in BLOCKS:
            if "fastimap.Client(" not in block:
                names["client"] = client
            run(block, names)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
            "1.eml": MESSAGES[0],
            "2.eml": MESSAGES[1],
            "2-2-dot.png": base64.b64decode("iVBORw=="),
        }
        assert client.select("Archive", read_only=True).exists == 3
        assert names["found"].uids == UIDSet([1, 2])
        assert names["content"] == base64.b64decode("iVBORw==")
    printed = capsys.readouterr().out
    for line in ("INBOX", "2 ", "hello", "world", "dot.png image/png", "1 world"):
        assert line in printed
