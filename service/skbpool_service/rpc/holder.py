"""skbpool.v1.HolderService: who holds references, and ending sessions from outside."""

import re

import grpc
import structlog
from skbpool.v1 import holder_pb2

from skbpool_service.holders import holders, largest
from skbpool_service.refusal import Refusal, bad_request, not_found
from skbpool_service.rpc.convert import holder_message
from skbpool_service.rpc.table import MethodTable
from skbpool_service.sessions import Session, Sessions

log = structlog.get_logger()

SERVICE = holder_pb2.DESCRIPTOR.services_by_name["HolderService"].full_name

MAX_NAMED = 8
"""Most sessions of one name that a refusal tells the numbers of."""


class HolderService:
    """The service over the sessions of one daemon and the accounts of its process."""

    def __init__(self, sessions: Sessions):
        self._sessions = sessions

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_unary(SERVICE, "ListHolders", holder_pb2.ListHoldersRequest, self.list_holders)
        table.add_unary(SERVICE, "RevokeSession", holder_pb2.RevokeSessionRequest, self.revoke)

    def list_holders(
        self, _request: holder_pb2.ListHoldersRequest
    ) -> holder_pb2.ListHoldersResponse:
        """Answer ListHolders."""
        found = largest(holders(self._sessions))
        return holder_pb2.ListHoldersResponse(holders=map(holder_message, found))

    def revoke(self, request: holder_pb2.RevokeSessionRequest) -> holder_pb2.RevokeSessionResponse:
        """Answer RevokeSession."""
        if not re.fullmatch(r"[ -~]{0,200}", request.reason):
            raise bad_request("a reason is up to 200 printable ASCII characters")
        session = self._find(request)
        reason = f": {request.reason}" if request.reason else ""
        # Nobody finds it any more, and what it held is home when this has returned. Its port is
        # detached when the stream is over.
        self._sessions.revoke(session)
        holds = session.table.holds()
        text = (
            f"the session was revoked by an administrator{reason}; what it held is home and its "
            "handles are dead, open another one"
        )
        session.end(Refusal(grpc.StatusCode.ABORTED, "SESSION_REVOKED", text))
        log.warning(
            "session revoked",
            session=session.name,
            number=session.number,
            handles=holds["count"],
            reason=request.reason,
        )
        return holder_pb2.RevokeSessionResponse(
            session=session.number, name=session.name, handles=holds["count"], bytes=holds["bytes"]
        )

    def _find(self, request: holder_pb2.RevokeSessionRequest) -> Session:
        """Return the session that is meant, or raise Refusal."""
        name, number = request.name[:80], request.session
        if not name and not number:
            raise bad_request("which session? give its name or its number, as ListHolders tells")
        found = [
            session
            for session in self._sessions.all()
            if number in (0, session.number) and request.name in ("", session.name)
        ]
        if len(found) > 1:
            numbers = ", ".join(str(session.number) for session in found[:MAX_NAMED])
            text = f"{len(found)} sessions are named {name!r}; say which by number: {numbers}"
            more = ", …" if len(found) > MAX_NAMED else ""
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "AMBIGUOUS_NAME", text + more)
        if found:
            return found[0]
        if not number:
            for holding in holders(self._sessions):
                if holding.name == request.name:
                    raise _not_revocable(holding.kind, name)
        what = f"no session number {number}" if number else "no session"
        named = f" named {name!r}" if name else ""
        raise not_found("SESSION", f"there is {what}{named}; ListHolders tells which there are")


def _not_revocable(kind: str, name: str) -> Refusal:
    return Refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        "NOT_REVOCABLE",
        f"{name!r} is a {kind}: its views are inside the daemon, where somebody may be reading "
        "them, and are never revoked; end its stream, or detach it, and they come home as they are "
        "released",
        kind=kind,
    )
