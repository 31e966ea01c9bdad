"""Why nobody answers at an address, as far as gRPC tells, and what to do."""

from skbpool.addresses import TLS_SCHEME

TRUST = "name its authority with --tls-ca, SKBPOOL_TLS_CA or Tls(ca=…)"

OTHERS = "Start it with 'skbpool serve', or name another with --server or SKBPOOL_SERVER"

HANGS_UP = ("Socket closed", "Connection reset by peer", "EOF")
"""What gRPC says of a server that takes the connection and ends it."""


def unreachable(address: str, cause: str) -> str:
    """Return the line for an address where no daemon answers, for the cause that gRPC gave."""
    return f"no daemon answers at {address} ({cause}): {_advice(address, cause)}"


def _advice(address: str, cause: str) -> str:
    hung_up = any(word in cause for word in HANGS_UP)
    if address.startswith(TLS_SCHEME):
        if "CERTIFICATE_VERIFY_FAILED" in cause:
            return (
                "its certificate is not of an authority that this client trusts, or for another "
                f"name: {TRUST}, and the host as the certificate does"
            )
        if "WRONG_VERSION_NUMBER" in cause:
            return f"that port speaks no TLS: name it without {TLS_SCHEME} and certificates"
        if hung_up:
            return (
                "it ended the TLS handshake. It may want a certificate of yours that it trusts: "
                "give one with --tls-certificate and --tls-private-key, "
                "SKBPOOL_TLS_CERTIFICATE and SKBPOOL_TLS_PRIVATE_KEY, or Tls(certificate=…, "
                "private_key=…)"
            )
    elif hung_up and not address.startswith("unix:"):
        return (
            f"something listens there and hung up. If it speaks TLS, write {TLS_SCHEME}{address} "
            f"and {TRUST}"
        )
    return f"is it running? {OTHERS}"
