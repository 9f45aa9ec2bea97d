"""What fastimap costs its user beside stdlib imaplib: `python -m benchmarks` measures everything and prints it.

Each figure is taken in a fresh process of the client alone, during the FETCH alone, results kept; clients take
turns, and medians are compared. The server replays recorded octets, so that the client is what is measured.
"""
