"""Loads a checkpoint with safetensors or transformers and prints the seconds and the memory that took, as JSON:
peer.py load_file|from_pretrained FOLDER [dtype, default: as stored]. Every value is read once, as ours does."""
import json
import sys
import time

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.models.llama import modeling_llama  # imported before the clock starts


def memory(field):
    for line in open("/proc/self/status"):
        if line.startswith(field + ":"):
            return float(line.split()[1]) * 1024e-6


def load(way, folder, dtype):
    if way == "load_file":
        return list(load_file(folder + "/model.safetensors").values())
    return list(AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).parameters())


way, folder = sys.argv[1:3]
dtype = sys.argv[3] if len(sys.argv) > 3 else "auto"
torch.set_num_threads(2)
before = memory("VmRSS")
start = time.perf_counter()
tensors = load(way, folder, dtype)
assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
seconds = time.perf_counter() - start
print(json.dumps({
    "parameters": sum(tensor.numel() for tensor in tensors),
    "seconds": seconds,
    "peak_mb": memory("VmHWM"),
    "grown_mb": memory("VmHWM") - before,
}))
