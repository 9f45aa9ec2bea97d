"""Mail on its way to a server, from a store or from another server."""
