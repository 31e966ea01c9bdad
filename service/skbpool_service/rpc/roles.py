"""The role that each method needs. None includes another; one of those named is enough.

A method that is not here needs `administer`, and a test fails.
"""

from collections.abc import Mapping

from skbpool_service.config.listeners import ROLES, Role

Need = frozenset[Role]
"""Roles of which a client needs one; empty: none, the method is open to all."""

OPEN: Need = frozenset()
ANY: Need = frozenset(ROLES)
OBSERVE: Need = frozenset({"observe"})
INGEST: Need = frozenset({"ingest"})
ALLOCATE: Need = frozenset({"allocate"})
ADMINISTER: Need = frozenset({"administer"})

NEEDS: Mapping[str, Need] = {
    # What everybody has to know before anything else.
    "skbpool.v1.ServerService/GetServerInfo": ANY,
    "skbpool.v1.ServerService/GetStatistics": OBSERVE,
    "skbpool.v1.PoolService/CreatePool": ADMINISTER,
    "skbpool.v1.PoolService/ClosePool": ADMINISTER,
    "skbpool.v1.PoolService/ListPools": OBSERVE,
    "skbpool.v1.PoolService/GetPoolStatistics": OBSERVE,
    "skbpool.v1.LeaseService/OpenSession": ALLOCATE,
    "skbpool.v1.LeaseService/Allocate": ALLOCATE,
    "skbpool.v1.LeaseService/Write": ALLOCATE,
    "skbpool.v1.LeaseService/MakeSkb": ALLOCATE,
    "skbpool.v1.LeaseService/Clone": ALLOCATE,
    "skbpool.v1.LeaseService/Slice": ALLOCATE,
    "skbpool.v1.LeaseService/Deliver": ALLOCATE,
    "skbpool.v1.LeaseService/Read": ALLOCATE,
    "skbpool.v1.LeaseService/Release": ALLOCATE,
    "skbpool.v1.HolderService/ListHolders": OBSERVE,
    "skbpool.v1.HolderService/RevokeSession": ADMINISTER,
    "skbpool.v1.FrameService/Ingest": INGEST,
    "skbpool.v1.FrameService/Subscribe": OBSERVE,
    "skbpool.v1.StampService/AttachStampReader": OBSERVE,
    "skbpool.v1.StampService/GetStampReport": OBSERVE,
    "skbpool.v1.WatchService/WatchPools": OBSERVE,
    "skbpool.v1.DriverService/AttachEmulatedNic": ADMINISTER,
    "skbpool.v1.DriverService/AttachReplay": ADMINISTER,
    "skbpool.v1.DriverService/DetachDriver": ADMINISTER,
    "skbpool.v1.DriverService/ListDrivers": OBSERVE,
    # Whoever supervises the daemon, and a client that connects again, has no role.
    "grpc.health.v1.Health/Check": OPEN,
    "grpc.health.v1.Health/Watch": OPEN,
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": OBSERVE,
}


def need_of(method: str) -> Need:
    """Return what a method (`package.Service/Method`) needs."""
    return NEEDS.get(method, ADMINISTER)


def told(need: Need) -> str:
    """Return a need in one word: a role, or `any`."""
    return "any" if need == ANY else ", ".join(sorted(need))
