"""Frames of HTTP/2 written by hand (RFC 9113), as no honest client sends them."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_HEADERS = 4
ENHANCE_YOUR_CALM = 11


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """Return a header field that no table is asked for (RFC 7541, 6.2.2), of short texts."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def call(path: bytes) -> bytes:
    """Return the header fields of a call."""
    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": path,
        b":authority": b"localhost",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    return b"".join(literal(*field) for field in fields.items())


def open_connection(host: str, port: int, seconds: float) -> socket.socket:
    """Return a connection that has begun to speak HTTP/2."""
    peer = socket.create_connection((host, port), timeout=seconds)
    peer.sendall(PREFACE + frame(SETTINGS))
    return peer


def send(peer: socket.socket, data: bytes) -> bool:
    """Send `data`; return whether the other side took it all."""
    try:
        peer.sendall(data)
    except OSError:
        return False
    return True


def read_to_end(peer: socket.socket) -> bytes:
    """Return everything until the other side closes the connection; TimeoutError if it does not."""
    got = bytearray()
    try:
        while data := peer.recv(1 << 16):
            got += data
    except ConnectionError:
        pass
    return bytes(got)


def goaways(got: bytes) -> list[int]:
    """Return the error codes of the GOAWAY frames among what a connection sent."""
    codes = []
    while len(got) >= 9:
        length, kind = int.from_bytes(got[:3]), got[3]
        if kind == GOAWAY:
            codes.append(int.from_bytes(got[13:17]))
        got = got[9 + length :]
    return codes
