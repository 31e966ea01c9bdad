"""Building C and Cython extensions against the skbpool that is installed."""

import importlib.util
from pathlib import Path
from types import ModuleType

import skbpool
from Cython.Build import cythonize
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext


def build(source: Path, folder: Path) -> Path:
    """Compile one .c or .pyx file in `folder`; warnings are errors. Return the shared object."""
    extension = Extension(
        source.stem,
        [str(source)],
        include_dirs=[skbpool.get_include()],
        extra_compile_args=["-O1", "-Wall", "-Werror", "-Wno-unreachable-code"],
    )
    extensions = [extension]
    if source.suffix == ".pyx":
        extensions = cythonize(extensions, build_dir=str(folder), quiet=True, force=True)
    command = build_ext(Distribution({"ext_modules": extensions}))
    command.build_temp = str(folder / "objects")
    command.build_lib = str(folder)
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(source.stem))


def load(shared_object: Path) -> ModuleType:
    """Import a shared object under its own name."""
    name = shared_object.name.partition(".")[0]
    spec = importlib.util.spec_from_file_location(name, shared_object)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
