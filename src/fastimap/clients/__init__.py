"""The drivers: the only code that waits for a network."""
