"""skbpool: a packet buffer pool, as a library and as a service."""

from skbpool._native import __version__

__all__ = ["__version__"]
