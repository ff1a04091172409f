"""Builds the extension over the headers of this checkout. MAESTRO_INCLUDE names another folder of headers."""

import os
from pathlib import Path

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

here = Path(__file__).resolve().parent
include = Path(os.environ.get("MAESTRO_INCLUDE", here.parent.parent / "include"))
if not (include / "maestro" / "maestro.hpp").is_file():
    raise SystemExit(
        f"maestro-torch: there are no headers of maestro in {include}. "
        "Install from the folder examples/torch of a checkout, or let MAESTRO_INCLUDE name the folder that has maestro/."
    )

setup(
    ext_modules=[
        CppExtension(
            "maestro_torch._reward_side",
            ["src/maestro_torch/reward_side.cpp"],
            include_dirs=[str(include)],
            extra_compile_args=["-std=c++20", "-O3", "-march=native"],
        )
    ],
    cmdclass={"build_ext": BuildExtension.with_options(use_ninja=False)},
)
