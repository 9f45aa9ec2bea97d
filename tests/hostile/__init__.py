"""A hostile server, what it does to a client, and what is demanded of the client: see docs/hostile.md."""
