"""The exceptions: one root, figures as attributes, types of Python's own where there are some."""

import copy
import pickle

import pytest
import skbpool
from skbpool import errors

CLASSES = [getattr(errors, name) for name in errors.__all__]

BUILT_IN = {
    "BadMemory": ValueError,
    "BadPool": ValueError,
    "BadView": ValueError,
    "BufferReleased": BufferError,
    "BufferTooSmall": ValueError,
    "Exported": BufferError,
    "NoHeadroom": ValueError,
    "NoPool": ValueError,
    "NoTailroom": ValueError,
    "NoViews": ValueError,
    "Nonlinear": BufferError,
    "NotEmpty": ValueError,
    "OutOfRange": IndexError,
    "Overlap": ValueError,
    "PoolMemory": MemoryError,
    "ReadOnly": BufferError,
    "Shared": BufferError,
    "TooManyReferences": OverflowError,
    "TooShort": ValueError,
    "UnknownHandle": LookupError,
    "WrongHandle": ValueError,
}


@pytest.mark.parametrize("error", CLASSES)
def test_every_exception_is_a_skbpool_error_and_public(error: type[Exception]) -> None:
    assert issubclass(error, errors.SkbpoolError)
    assert getattr(skbpool, error.__name__) is error
    assert error.__doc__
    assert issubclass(error, BUILT_IN.get(error.__name__, Exception))


def test_figures_survive_copying_and_pickling() -> None:
    error = skbpool.NoHeadroom("16 bytes needed", needed=16, have=2)
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is skbpool.NoHeadroom
        assert (str(other), other.needed, other.have) == ("16 bytes needed", 16, 2)


def test_a_caught_exception_has_the_figures_it_annotates() -> None:
    with skbpool.Pool(1) as pool:
        buffer = pool.alloc()
        with pytest.raises(skbpool.PoolExhausted) as caught:
            pool.alloc()
        assert vars(caught.value) == {"buffers": 1, "in_flight": 1, "cached": 0}
        assert set(vars(caught.value)) == set(skbpool.PoolExhausted.__annotations__)
        buffer.release()
