"""Opening captures that clients name: only below one folder, and only regular files."""

import errno
import os
import re

import grpc

from skbpool_service.refusal import Refusal, bad_request, not_found
from skbpool_service.regular_file import FLAGS, is_regular

MAX_PATH_BYTES = 1024
"""Longest path that is looked at."""

_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
_FILE = FLAGS | os.O_NOFOLLOW

_Code = grpc.StatusCode


def open_capture(directory: str, path: str) -> int:
    """Return a descriptor of the regular file at `path` below `directory`, or raise Refusal.

    Each folder on the way is opened from the one before and no symbolic link is followed, so nobody
    who changes the folders meanwhile can lead it elsewhere.
    """
    if not directory:
        raise Refusal(
            _Code.FAILED_PRECONDITION,
            "NO_CAPTURE_DIRECTORY",
            "the daemon replays no captures: driver.capture_directory is not set",
        )
    *folders, name = _parts(path)
    try:
        here = os.open(directory, _FOLDER)
    except OSError as error:
        raise Refusal(
            _Code.FAILED_PRECONDITION,
            "NO_CAPTURE_DIRECTORY",
            f"driver.capture_directory cannot be opened: {error.strerror}; mend it at the daemon",
        ) from None
    try:
        for folder in folders:
            below = os.open(folder.encode(), _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        descriptor = os.open(name.encode(), _FILE, dir_fd=here)
    except OSError as error:
        raise _refusal(path, error) from None
    finally:
        os.close(here)
    if not is_regular(descriptor):
        os.close(descriptor)
        raise bad_capture(path, "is no regular file")
    return descriptor


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    if not re.fullmatch(r"[^\0]+", path) or not {"", ".", ".."}.isdisjoint(parts):
        raise bad_request(
            "a capture is a path below the daemon's driver.capture_directory, without empty parts, "
            f"'.' and '..', not {path[:80]!r}"
        )
    if len(path.encode()) > MAX_PATH_BYTES:
        raise bad_request(f"the path of a capture has up to {MAX_PATH_BYTES} bytes; move it higher")
    return parts


def bad_capture(path: str, why: str) -> Refusal:
    """Return the refusal of a file that cannot be replayed."""
    text = f"the capture {path[:200]!r} {why}"
    return Refusal(_Code.FAILED_PRECONDITION, "BAD_CAPTURE", text)


def _refusal(path: str, error: OSError) -> Refusal:
    if error.errno == errno.ENOENT:
        text = f"there is no capture {path[:200]!r} below driver.capture_directory"
        return not_found("CAPTURE", text)
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return bad_capture(path, "leads through a symbolic link or a file; neither is followed")
    if error.errno == errno.ENXIO:
        return bad_capture(path, "is no regular file")
    return bad_capture(path, f"cannot be opened: {error.strerror}")
