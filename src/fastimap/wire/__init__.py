"""Octets to responses, and arguments to octets."""
