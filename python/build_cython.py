"""Compile every Cython module of the package; run by build.rs, in this folder.

    python build_cython.py OUT_DIR

The shared objects end up in OUT_DIR itself, what is needed to make them below it.
"""

import shutil
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

PACKAGE = Path("skbpool")


def modules() -> list[Extension]:
    """Return one extension for each .pyx file of the package."""
    return [
        Extension(
            f"{PACKAGE.name}.{source.stem}",
            [str(source)],
            include_dirs=[str(PACKAGE / "include")],
            depends=sorted(str(path) for path in (PACKAGE / "include").glob("*.h")),
            extra_compile_args=["-O3", "-fvisibility=hidden"],
        )
        for source in sorted(PACKAGE.glob("*.pyx"))
    ]


def build(out_dir: Path) -> None:
    """Compile the modules into `out_dir`; what an earlier build left there goes first."""
    for old in out_dir.glob("*.so"):
        old.unlink()
    extensions = cythonize(
        modules(),
        build_dir=str(out_dir / "cython"),
        include_path=["."],
        compiler_directives={"language_level": 3},
    )
    command = build_ext(Distribution({"ext_modules": extensions}))
    command.build_temp = str(out_dir / "objects")
    command.build_lib = str(out_dir / "modules")
    command.ensure_finalized()
    command.run()
    for module in command.get_outputs():
        shutil.copy2(module, out_dir)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
