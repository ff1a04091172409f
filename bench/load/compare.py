"""Runs each way of loading a checkpoint in fresh processes, in turns, and prints a table: compare.py PROGRAM PYTHON
FOLDER_OF_CHECKPOINTS [repetitions]. Files are in the page cache; seconds are the median with its range."""
import json
import pathlib
import statistics
import subprocess
import sys

program, python, root = sys.argv[1:4]
repetitions = int(sys.argv[4]) if len(sys.argv) > 4 else 5
peer = str(pathlib.Path(__file__).with_name("peer.py"))

print(f"{'checkpoint':11} {'loaded by':38} {'seconds (range)':>22} {'memory MB':>10} {'of it grown':>12}")
for stored in ("f32", "bf16"):
    folder = f"{root}/{stored}"
    ways = {
        "maestro load_model<float>": [program, "load", folder],
        "safetensors load_file, as stored": [python, peer, "load_file", folder],
        "transformers from_pretrained, as stored": [python, peer, "from_pretrained", folder],
    }
    if stored == "bf16":
        ways["transformers from_pretrained, float32"] = [python, peer, "from_pretrained", folder, "float32"]
    results = {way: [] for way in ways}
    for repetition in range(repetitions + 1):
        for way, command in ways.items():
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            if repetition > 0:  # the first brings the file into the page cache
                results[way].append(result)
    assert len({row["parameters"] for rows in results.values() for row in rows}) == 1
    for way, rows in results.items():
        seconds = [row["seconds"] for row in rows]
        middle = lambda field: statistics.median(row[field] for row in rows)
        print(f"{stored:11} {way:38} {middle('seconds'):8.3f} ({min(seconds):.3f} .. {max(seconds):.3f})"
              f" {middle('peak_mb'):10.0f} {middle('grown_mb'):12.0f}")
