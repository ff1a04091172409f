"""Builds the extension over the headers of this checkout.

MAESTRO_INCLUDE names another folder of headers. Where torch is built for CUDA and the toolkit of the same major version
is at hand, the device path is compiled in; MAESTRO_TORCH_CUDA=0 leaves it out, =1 fails where it cannot be.
TORCH_CUDA_ARCH_LIST says for which devices, as in every extension of torch.
"""

import os
import re
import subprocess
from pathlib import Path

import torch
from setuptools import setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension

here = Path(__file__).resolve().parent
include = Path(os.environ.get("MAESTRO_INCLUDE", here.parent.parent / "include"))
if not (include / "maestro" / "maestro.hpp").is_file():
    raise SystemExit(
        f"maestro-torch: there are no headers of maestro in {include}. "
        "Install from the folder examples/torch of a checkout, or let MAESTRO_INCLUDE name the folder that has maestro/."
    )


def lack_of_cuda():
    """Why the device path cannot be compiled, or nothing."""
    if torch.version.cuda is None:
        return "torch is not built for CUDA"
    compiler = Path(CUDA_HOME or "", "bin", "nvcc")
    if CUDA_HOME is None or not compiler.is_file():
        return "there is no nvcc; CUDA_HOME names a toolkit"
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    release = re.search(r"release (\d+)\.", said)
    if release is None or release[1] != torch.version.cuda.split(".")[0]:
        return f"torch is built for CUDA {torch.version.cuda}, and {compiler} is another major version"
    if int(release[1]) < 12:
        return f"{compiler} is of CUDA {release[1]}, and the device path needs 12"
    return None


def extension():
    wanted = os.environ.get("MAESTRO_TORCH_CUDA", "")
    lack = "MAESTRO_TORCH_CUDA is 0" if wanted == "0" else lack_of_cuda()
    if lack and wanted == "1":
        raise SystemExit(f"maestro-torch: MAESTRO_TORCH_CUDA is 1, but {lack}")
    print(f"maestro-torch: {f'without the device path: {lack}' if lack else 'with the device path'}")
    sources = ["reward_side.cpp", "without_device.cpp" if lack else "device_side.cu"]
    host = ["-std=c++20", "-O3", "-march=native", "-fvisibility=hidden"]
    return (CppExtension if lack else CUDAExtension)(
        "maestro_torch._reward_side",
        [f"src/maestro_torch/{name}" for name in sources],
        depends=[str(header) for part in (here / "src", include) for header in sorted(part.rglob("*.[hc]*p*"))],
        include_dirs=[str(include)],
        define_macros=[] if lack else [("MAESTRO_TORCH_CUDA", None)],
        libraries=[] if lack else ["cublasLt"],
        extra_compile_args={"cxx": host, "nvcc": ["-std=c++20", "-O3", "-diag-suppress=554", "-Xcompiler=-fvisibility=hidden"]},
    )


setup(ext_modules=[extension()], cmdclass={"build_ext": BuildExtension.with_options(use_ninja=False)},
      options={"build_ext": {"force": True}})  # whether it has the device path is in no file that has a date
