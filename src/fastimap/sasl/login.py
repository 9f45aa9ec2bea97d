"""LOGIN: never standardised (draft-murchison-sasl-login), for servers that offer nothing else."""

from __future__ import annotations

from ._mechanism import Mechanism, nonempty_utf8


class Login(Mechanism):
    """The user at the first prompt and the password at the second, whatever the prompts say.

    Servers disagree on the text ("Username:", "User Name", nothing at all), so it cannot be a criterion.

    Raises MechanismError for an empty user or password, and for NUL in either.
    """

    name = "LOGIN"
    clear = True
    strength = 10

    def __init__(self, user: str, password: str) -> None:
        super().__init__(user)
        self._answers = (nonempty_utf8(user, "the user"), nonempty_utf8(password, "the password"))
        self._prompts = 0

    def start(self) -> None:
        self._prompts = 0

    def step(self, challenge: bytes) -> bytes:
        if self._prompts == len(self._answers):
            raise self._unexpected()
        self._prompts += 1
        return self._answers[self._prompts - 1]
