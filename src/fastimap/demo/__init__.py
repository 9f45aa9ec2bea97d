"""``python -m fastimap demo``: the same mail fetched with imaplib and with fastimap.imaplib, and measured.

:mod:`corpus` makes the mail, :mod:`account` finds the user's own, :mod:`client` fetches in a process of its own,
:mod:`comparison` lets the two libraries take turns, and :mod:`report` shows what came out.
"""
