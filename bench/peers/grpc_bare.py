"""A bare grpcio server that does nothing with its bytes: the limit of what goes through gRPC.

    python bench/peers/grpc_bare.py ADDRESS...

Prints a line of JSON when it listens, `{"listen": [ADDRESS, ...]}`, with the port that was chosen
where port 0 was asked for. Ends by SIGTERM.

| method | what it does |
| --- | --- |
| /bare/Ingest | takes messages; tells at the end how many, and their bytes as `accepted` |
| /bare/Stamped | the same, and tells the seconds from each message's stamp to its arrival |
| /bare/Echo | sends every message back |
| /bare/Unary1, /bare/Unary64 | answers as many bytes as a lease of 1 or 64 buffers |
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from skbpool.addresses import TcpAddress, parse_address
from skbpool.v1 import frame_pb2, lease_pb2

UNLIMITED = (1 << 63) - 1
"""Credit that is never used up: what holds a client back is the transport alone."""
THREADS = 80
STAMP_BYTES = 8
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
]
Context = grpc.ServicerContext


def ingest(requests: Iterator[bytes], _context: Context) -> Iterator[bytes]:
    """Take messages."""
    yield greeting()
    next(requests)  # names the driver
    messages = taken = 0
    for message in requests:
        messages += 1
        taken += len(message)
    yield frame_pb2.IngestResponse(acked_through=messages, accepted=taken).SerializeToString()


def stamped(requests: Iterator[bytes], _context: Context) -> Iterator[bytes]:
    """Take messages and look at the clock.

    The stamp ends as many bytes before a message's end as the first request's driver name says.
    """
    yield greeting()
    end = -int(frame_pb2.IngestRequest.FromString(next(requests)).driver)
    seconds = []
    taken = 0
    for message in requests:
        now = time.monotonic_ns()
        taken += len(message)
        seconds.append((now - int.from_bytes(message[end - STAMP_BYTES : end], "big")) / 1e9)
    told = frame_pb2.IngestResponse(acked_through=len(seconds), accepted=taken)
    # As the name of a request, which is the one text that these messages have.
    yield told.SerializeToString()
    yield frame_pb2.IngestRequest(driver=json.dumps(seconds)).SerializeToString()


def echo(requests: Iterator[bytes], _context: Context) -> Iterator[bytes]:
    """Send everything back."""
    yield from requests


def greeting() -> bytes:
    """Return what opens a stream: the client may send."""
    return frame_pb2.IngestResponse(credit=UNLIMITED).SerializeToString()


def answering(buffers: int) -> Callable[[bytes, Context], bytes]:
    """Return a handler whose answer is as long as that to a lease of so many buffers."""
    answer = lease_pb2.AllocateResponse(buffers=range(1, buffers + 1), buffer_bytes=4096)
    encoded = answer.SerializeToString()
    return lambda _request, _context: encoded


def handlers() -> grpc.GenericRpcHandler:
    """Return every method, without serializers."""
    stream, unary = grpc.stream_stream_rpc_method_handler, grpc.unary_unary_rpc_method_handler
    methods: dict[str, Any] = {
        "Ingest": stream(ingest),
        "Stamped": stream(stamped),
        "Echo": stream(echo),
        "Unary1": unary(answering(1)),
        "Unary64": unary(answering(64)),
    }
    return grpc.method_handlers_generic_handler("bare", methods)


def main() -> None:
    """Serve until killed."""
    server = grpc.server(ThreadPoolExecutor(THREADS), handlers=[handlers()], options=OPTIONS)
    listening = []
    for text in sys.argv[1:]:
        address = parse_address(text)
        port = server.add_insecure_port(address.target)
        tcp = isinstance(address, TcpAddress)
        listening.append(f"{text.rpartition(':')[0]}:{port}" if tcp else text)
    server.start()
    print(json.dumps({"listen": listening}), flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
