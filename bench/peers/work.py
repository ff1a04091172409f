"""Sets one work up in PyTorch, then repeats it whenever its input says so. See bench/README.md and protocol.py."""

import argparse
import importlib
import os

# Nothing here is fetched from anywhere.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

WORKS = ("training_step", "generation", "grpo_step", "scalarization", "limits")


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", choices=WORKS, required=True)
    parser.add_argument("--peer", choices=("eager", "compiled", "fused_head", "trl"), default="eager")
    parser.add_argument("--model", default="shipped")
    parser.add_argument("--folder", default="", help="model folder; without one the weights are random")
    parser.add_argument("--tokenizer", default="examples/models/base", help="folder of the tokenizer, for grpo_step")
    parser.add_argument("--prompts", default="examples/data/prompts.jsonl")
    parser.add_argument("--variant", default="")
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--response", type=int, default=128)
    parser.add_argument("--groups", type=int, default=1)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--inner", type=int, default=1)
    return parser.parse_args()


def main():
    options = parse()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    importlib.import_module(options.work).run(options)


if __name__ == "__main__":
    main()
