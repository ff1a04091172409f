#!/usr/bin/env python3
"""Encoding speed beside Hugging Face's tokenizers, on one thread: python bench/tokenizer/run.py

    --tokenizer FILE  a tokenizer.json (default: the small qwen2 of the tests; a real one says more)
    --text FILE       UTF-8 text (default: the sources and documents of this repository)
    --rounds N        of each side, in turn (default 5)
    --program FILE    a built bench_tokenizer (default: built here in build/release-bench)

Needs the package tokenizers. Prints megabytes of text per second, medians of the rounds, and whether the ids are equal.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer, __version__  # noqa: E402

root = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", default=root / "tests/fixtures/text/qwen2.json", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--program", type=pathlib.Path)
    return parser.parse_args()


def repository_text():
    parts = [p.read_text() for pattern in ("*.md", "include/**/*.hpp", "bench/**/*.py", "examples/**/*.cpp")
             for p in sorted(root.glob(pattern))]
    return "\n".join(parts)


def built_program():
    folder = root / "build/release-bench"
    subprocess.run(["cmake", "--preset", "release", "-B", folder, "-DMAESTRO_BUILD_BENCH=ON", "-DMAESTRO_BUILD_TESTS=OFF",
                    "-DMAESTRO_BUILD_EXAMPLES=OFF"], cwd=root, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder, "--target", "bench_tokenizer"], check=True, stdout=subprocess.DEVNULL)
    return folder / "bench/tokenizer/bench_tokenizer"


def fnv1a(ids):
    value = 0xcbf29ce484222325
    for byte in "".join(f"{i}," for i in ids).encode():
        value = ((value ^ byte) * 0x100000001b3) % 2**64
    return f"{value:016x}"


def timed(action):
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def main():
    options = arguments()
    program = options.program or built_program()
    text = options.text.read_text(errors="replace") if options.text else repository_text()
    megabytes = len(text.encode()) / 1e6
    lines = text.split("\n")
    load, peer = timed(lambda: Tokenizer.from_file(str(options.tokenizer)))
    times = {"whole": [], "lines, one by one": [], "lines, encode_batch": [], "ours whole": [], "ours lines": []}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(text)
        file.flush()
        for _ in range(options.rounds):
            ours = json.loads(subprocess.run([program, options.tokenizer, file.name, "2"], check=True,
                                             stdout=subprocess.PIPE).stdout)
            times["ours whole"].append(ours["rounds"][-1][0])
            times["ours lines"].append(ours["rounds"][-1][1])
            seconds, whole = timed(lambda: peer.encode(text, add_special_tokens=False))
            times["whole"].append(seconds)
            times["lines, one by one"].append(timed(
                lambda: [peer.encode(line, add_special_tokens=False) for line in lines])[0])
            times["lines, encode_batch"].append(timed(
                lambda: peer.encode_batch(lines, add_special_tokens=False))[0])
    same = ours["tokens"] == len(whole.ids) and ours["hash"] == fnv1a(whole.ids)
    print(f"{megabytes:.2f} MB, {len(lines)} lines, {len(whole.ids)} tokens; tokenizers {__version__}; "
          f"ids {'equal' if same else 'DIFFER'}; load: ours {ours['load']:.2f} s, tokenizers {load:.2f} s")
    speed = {name: megabytes / statistics.median(seconds) for name, seconds in times.items()}
    for name in ("whole", "lines, one by one", "lines, encode_batch"):
        ours_speed = speed["ours whole" if name == "whole" else "ours lines"]
        print(f"{name:20}  ours {ours_speed:7.2f} MB/s   tokenizers {speed[name]:7.2f} MB/s   ratio {ours_speed / speed[name]:.2f}")
    return 0 if same else 1


raise SystemExit(main())
