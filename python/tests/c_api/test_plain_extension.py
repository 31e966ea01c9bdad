"""A plain C extension compiled against the installed package, and what it refuses."""

import ctypes
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import skbpool
from extension_builder import build, load
from skbpool import Pool, adopt

SOURCE = Path(__file__).parent / "plain_extension.c"


@pytest.fixture(scope="module")
def shared_object(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(SOURCE, tmp_path_factory.mktemp("plain_extension"))


@pytest.fixture(scope="module")
def extension(shared_object: Path) -> ModuleType:
    return load(shared_object)


def test_it_writes_where_it_may_and_says_why_not_elsewhere(
    extension: ModuleType, pool: Pool
) -> None:
    buffer = pool.alloc()
    memoryview(buffer)[:4] = b"abcd"
    with buffer.into_skb(0, 4) as skb:
        extension.swap_ends(skb)
        assert bytes(skb) == b"dbca"
        with skb.clone(), pytest.raises(BufferError, match="unshare"):
            extension.swap_ends(skb)
    with adopt(b"abcd").into_skb() as skb, pytest.raises(BufferError, match="read-only"):
        extension.swap_ends(skb)


def test_it_returns_a_batch(extension: ModuleType, pool: Pool) -> None:
    skb = pool.alloc().into_skb(0, 60)
    with extension.twice(skb) as batch:
        assert skb.is_released
        assert list(batch.lengths()) == [60, 60]
        assert pool.stats().in_flight == 1
    with pytest.raises(skbpool.BufferReleased):
        extension.twice(skb)


def fake_capsule(name: bytes, major: int, size: int) -> tuple[Any, Any]:
    """Make a capsule whose table says another version; the table has to outlive it."""
    table = (ctypes.c_uint32 * 2)(major, size)
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(ctypes.addressof(table), name, None), table


@pytest.mark.parametrize("module", ["_native", "_skb_batch"])
@pytest.mark.parametrize(
    ("major", "size", "message"),
    [(2, 4096, "version 2"), (0, 4096, "version 0"), (1, 16, "upgrade skbpool")],
)
def test_another_version_is_an_import_error(
    shared_object: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    major: int,
    size: int,
    message: str,
) -> None:
    name = f"skbpool.{module}._C_API".encode()
    capsule, _table = fake_capsule(name, major, size)
    monkeypatch.setattr(getattr(skbpool, module), "_C_API", capsule)
    with pytest.raises(ImportError, match=message):
        load(shared_object)


def test_the_include_folder_has_what_compilers_need() -> None:
    folder = Path(skbpool.get_include())
    assert (folder / "skbpool.h").is_file()
    package = Path(skbpool.__file__).parent
    assert {"__init__.pxd", "_skb.pxd", "_skb_batch.pxd"} <= {
        path.name for path in package.glob("*.pxd")
    }
