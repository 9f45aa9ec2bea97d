"""Sessions that outlive a connection."""
