"""Durations of requests, in whole nanoseconds, so that a limit is kept to the last one."""

from google.protobuf.duration_pb2 import Duration

from skbpool_service.refusal import bad_request, out_of_range

NANOSECONDS = 1_000_000_000


def nanoseconds(field: str, duration: Duration) -> int:
    """Return a duration that is 0 or more, or raise Refusal."""
    if duration.seconds < 0 or not 0 <= duration.nanos < NANOSECONDS:
        raise bad_request(
            f"{field} is 0 or more seconds and 0 to 999999999 nanoseconds, not "
            f"{duration.seconds} and {duration.nanos}",
            field=field,
        )
    return duration.seconds * NANOSECONDS + duration.nanos


def seconds_at_most(field: str, duration: Duration, most: float, limit: str) -> float:
    """Return a duration in seconds, or raise Refusal if it is longer than `limit` says."""
    asked = nanoseconds(field, duration)
    if asked > round(most * NANOSECONDS):
        text = f"{field} is {written(asked)} s, longer than the daemon allows ({limit} = {most:g})"
        raise out_of_range(text, field=field)
    return asked / NANOSECONDS


def written(asked: int) -> str:
    """Return nanoseconds as seconds, with as many digits as it takes."""
    whole, part = divmod(asked, NANOSECONDS)
    return f"{whole}.{part:09}".rstrip("0").rstrip(".")
