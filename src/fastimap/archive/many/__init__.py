"""Many accounts: each a task, done here, by a pool of processes, or by the workers of Dask on many machines."""

from .pulling import pull_many
from .report import AccountReport, ManyProgress

__all__ = ["AccountReport", "ManyProgress", "pull_many"]
