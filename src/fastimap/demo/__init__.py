"""``python -m fastimap demo``: the same mail fetched with imaplib and with fastimap, and measured; then pulled, twice.

:mod:`corpus` makes the mail, :mod:`account` finds the user's own, :mod:`client` fetches in a process of its own,
:mod:`comparison` lets them take turns, :mod:`pulling` pulls, :mod:`progress` and :mod:`report` show it.
"""
