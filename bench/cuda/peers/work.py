"""Sets one work of bench_cuda up in PyTorch, compares its results, then repeats it. See bench/README.md, "On a device".
"""

import argparse
import importlib
import sys

MODULES = {
    "chain": "chain",
    "scalarize": "scalarize",
    "statistics": "group_statistics",
    "update": "update",
    "mlp": "mlp",
    "loss": "loss",
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", choices=(*MODULES, "limits"), required=True)
    parser.add_argument("--peer", choices=("eager", "compiled", "graphs"), default="eager")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--reference", default="", help="folder that bench_cuda --dump has written")
    parser.add_argument("--variant", default="")
    parser.add_argument("--form", choices=("packed", "padded"), default="packed", help="of loss")
    parser.add_argument("--type", default="float")
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--rewards", type=int, default=5)
    parser.add_argument("--inputs", type=int, default=4096)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--width", type=int, default=0)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.1)
    return parser.parse_args()


def main():
    options = parse()
    import torch

    from comparing import Different, Reference
    from serving import serve

    torch.set_float32_matmul_precision("highest")  # no TF32; ours has none either
    torch.manual_seed(1)
    if options.work == "limits":
        importlib.import_module("device_limits").run(options)
        return
    reference = Reference(options.reference, options.device)
    try:
        call, info = importlib.import_module(MODULES[options.work]).make(options, reference)
    except Different as error:
        sys.exit(str(error))
    serve(call, {"checks": reference.errors, **info}, options)


if __name__ == "__main__":
    main()
