"""The conversation of one connection without I/O."""
