"""FrameBatches made by protobuf, independent of the codec."""

from collections.abc import Iterator, Sequence

from skbpool.v1 import frame_batch_pb2, frame_pb2

ETHERNET = 1


def request(
    frames: Sequence[bytes], sequence: int, driver: str = "", base_time_ns: int = 1_000
) -> frame_pb2.IngestRequest:
    """Return an IngestRequest with `frames`."""
    batch = frame_batch_pb2.FrameBatch(
        frames=b"".join(frames),
        length=[len(frame) for frame in frames],
        base_time_ns=base_time_ns,
        link_type=ETHERNET,
        sequence=sequence,
    )
    return frame_pb2.IngestRequest(batch=batch, driver=driver)


def frames_of(batch: frame_batch_pb2.FrameBatch) -> Iterator[bytes]:
    """Return the frames of a batch."""
    at = 0
    for length in batch.length:
        yield batch.frames[at : at + length]
        at += length


def numbered(count: int, size: int = 60) -> list[bytes]:
    """Return `count` different frames of `size` bytes."""
    return [index.to_bytes(4, "big") * (size // 4) for index in range(count)]
