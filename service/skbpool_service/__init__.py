"""The skbpool daemon: sessions, leases, limits, RPC handlers, metrics."""

__version__ = "0.1.0"
