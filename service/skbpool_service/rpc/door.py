"""What clients of one listener may do: the table of methods as they see it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import structlog

from skbpool_service.config import ListenerSettings, Role
from skbpool_service.refusal import Refusal
from skbpool_service.rpc.call import Handler, refuse, refusing
from skbpool_service.rpc.roles import Need, need_of, told
from skbpool_service.rpc.table import UNKNOWN, MethodTable

log = structlog.get_logger()

MAX_NAMES = 4
"""Names of a certificate that a refusal tells."""

MAX_NAME = 80
"""Characters of each of them."""


@dataclass(frozen=True)
class Rules:
    """Who may do what at a listener."""

    granted: frozenset[Role]
    """What anybody may do here at most."""
    asks_certificates: bool
    """Names of certificates say who a client is."""
    unlisted_names: bool
    """A name that is not listed may do whatever is granted."""
    names: Mapping[str, frozenset[Role]]
    """What a listed name may do, as far as it is granted."""

    @classmethod
    def of(cls, listener: ListenerSettings, names: Mapping[str, list[Role]]) -> "Rules":
        """Return the rules of the configuration for a listener."""
        return cls(
            listener.granted,
            listener.asks_certificates,
            listener.unlisted_names,
            {name: frozenset(roles) for name, roles in names.items()},
        )

    def of_client(self, names: list[str]) -> frozenset[Role]:
        """Return what a client may do whose certificate has these names."""
        listed = [self.names[name] for name in names if name in self.names]
        if not listed:
            return self.granted if self.unlisted_names else frozenset()
        return self.granted & frozenset[Role]().union(*listed)


class Door(grpc.GenericRpcHandler):
    """The methods of a table, for clients that come in through one listener."""

    def __init__(self, table: MethodTable, listener: str, rules: Rules):
        self._table = table
        self._listener = listener
        self._rules = rules
        # What the calls that stream need, while they are open.
        self._open: dict[grpc.ServicerContext, Need] = {}

    def renew(self, rules: Rules) -> None:
        """Go by other rules from now on; end the streams of those who may no longer have them."""
        self._rules = rules
        ended = 0
        for context, need in list(self._open.items()):
            refusal = self._check(need, context)
            if refusal is not None:
                self._table.streams.end(context, refusal)
                ended += 1
        if ended:
            log.info("streams ended whose role is gone", listener=self._listener, streams=ended)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Return the handler of a call that came in. Runs on grpcio's own thread."""
        method, handler = self._table.find(handler_call_details.method)
        need = need_of(method)
        if not need or method == UNKNOWN:
            return handler
        rules = self._rules
        if not rules.asks_certificates and not need & rules.granted:
            return refusing(method, self._refusal(need, rules.granted), self._table.recorder)
        if rules.asks_certificates or handler.response_streaming:
            return self._asking(method, need, handler)
        return handler

    def _asking(self, method: str, need: Need, handler: Handler) -> Handler:
        """Return the handler of a call whose client is known once it runs, or that stays open."""
        streams = handler.response_streaming
        inner: Any = handler.stream_stream if streams else handler.stream_unary

        def behaviour(
            requests: Iterator[bytes], context: grpc.ServicerContext, *send: object
        ) -> Any:
            # Before the rules are looked at: who changes them looks at the calls afterwards.
            if streams:
                self._watch(need, context)
            refusal = self._check(need, context)
            if refusal is not None:
                refuse(method, context, refusal, self._table.recorder)
            return inner(requests, context, *send)

        # What grpcio looks at is where and how the handler runs.
        vars(behaviour).update(vars(inner))
        if streams:
            return grpc.stream_stream_rpc_method_handler(behaviour)
        return grpc.stream_unary_rpc_method_handler(behaviour)

    def _watch(self, need: Need, context: grpc.ServicerContext) -> None:
        """Know what an open call needs until it is over."""

        def forget() -> None:
            self._open.pop(context, None)

        self._open[context] = need
        if not context.add_callback(forget):
            forget()

    def _check(self, need: Need, context: grpc.ServicerContext) -> Refusal | None:
        rules = self._rules
        if not rules.asks_certificates:
            return None if need & rules.granted else self._refusal(need, rules.granted)
        # The alternative names of a certificate, and its common name only if it has none; a
        # certificate without either has an empty one.
        found = context.peer_identities() or ()
        names = [name.decode(errors="replace") for name in found if name]
        if not names:
            return Refusal(
                grpc.StatusCode.UNAUTHENTICATED,
                "NO_CERTIFICATE_NAME",
                f"clients of the listener {self._listener} are known by the names of their "
                "certificates, and yours has none: use one with a subject alternative name",
                listener=self._listener,
                role=told(need),
            )
        roles = rules.of_client(names)
        return None if need & roles else self._refusal(need, roles, names)

    def _refusal(self, need: Need, roles: frozenset[Role], names: Sequence[str] = ()) -> Refusal:
        name = ", ".join(name[:MAX_NAME] for name in names[:MAX_NAMES])
        who = f"a client named {name}" if name else "a client"
        have = ", ".join(sorted(roles)) or "none"
        return Refusal(
            grpc.StatusCode.PERMISSION_DENIED,
            "ROLE_MISSING",
            f"this needs the role {told(need)}, and at {self._listener} {who} has {have}: connect "
            "where it is granted, or have it added to the daemon's configuration",
            role=told(need),
            listener=self._listener,
            name=name,
        )
