"""GRPO on two columns of a JSON lines file with three rewards, by TRL alone or with MAESTRO's Conductor.

python examples/torch/grpo.py --model DIR --prompts FILE.jsonl [--conductor linear] [--steps 20] --output DIR
The file has "prompt" and "reference". `--conductor trl` is TRL's own trainer. It writes a row per step into curves.csv
in the output's folder, prints what the steps took, and digests of what the last checkpoint holds, so that two runs can
be compared.
"""

import argparse
import csv
import hashlib
from pathlib import Path
from statistics import median

import torch
from datasets import load_dataset
from peft import LoraConfig
from trl import GRPOConfig, GRPOTrainer

from maestro_torch.trl import STATE_FILE, MaestroGRPOConfig, MaestroGRPOTrainer

TIMES = ("step_time", "conductor/step_time")


def text_of(completion):
    return completion if isinstance(completion, str) else completion[-1]["content"]


def overlap(completions, reference, **_):
    """The share of the reference's words that the response has."""
    found = []
    for completion, expected in zip(completions, reference, strict=True):
        words, wanted = set(text_of(completion).lower().split()), set(expected.lower().split())
        found.append(len(words & wanted) / max(1, len(wanted)))
    return found


def brevity(completion_ids, **_):
    """1 for no token, 0 from 128 tokens on."""
    return [max(0.0, 1.0 - len(ids) / 128) for ids in completion_ids]


def sentences(completions, **_):
    """1 if the response ends as a sentence does."""
    return [float(text_of(c).rstrip().endswith((".", "!", "?"))) for c in completions]


def write_curves(path, history):
    """Rewards, weights and seconds of every step."""
    steps = [entry for entry in history if "step_time" in entry]
    wanted = dict.fromkeys(name for entry in steps for name in entry if name.startswith(("rewards/", "conductor/")))
    columns = ["step", "reward", "completions/mean_length", "step_time", *wanted]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(steps)


def report(history, output):
    """Prints what the steps took, and the digests of the last checkpoint."""
    for name in TIMES:
        seconds = [entry[name] for entry in history if name in entry]
        if seconds:
            print(f"{name}: median {median(seconds):.5f} s, all {sum(seconds):.4f} s of {len(seconds)} steps")
    newest = max(Path(output).glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]), default=None)
    for name in ("adapter_model.safetensors", STATE_FILE):
        if newest and (newest / name).exists():
            print(f"{newest.name}/{name}: sha256 {hashlib.sha256((newest / name).read_bytes()).hexdigest()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", required=True)
    parser.add_argument("--conductor", default="linear")
    parser.add_argument("--hidden-states", default="auto")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--save-steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=16, help="responses of a step")
    parser.add_argument("--generations", type=int, default=8, help="responses to a prompt")
    parser.add_argument("--tokens", type=int, default=64, help="longest response")
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", default=None, help="checkpoint to go on from")
    parser.add_argument("--output", required=True)
    options = parser.parse_args()

    plain = options.conductor == "trl"
    more = {} if plain else dict(
        conductor=options.conductor,
        conductor_options={"conductor_learning_rate": 3e-3} if options.conductor in ("linear", "mlp") else None,
        hidden_states=options.hidden_states,
    )  # fmt: skip
    config = (GRPOConfig if plain else MaestroGRPOConfig)(
        output_dir=options.output, max_steps=options.steps, per_device_train_batch_size=options.batch,
        num_generations=options.generations, max_completion_length=options.tokens, report_to=[], logging_steps=1,
        learning_rate=options.learning_rate, save_steps=options.save_steps,
        seed=options.seed, use_cpu=not torch.cuda.is_available(), bf16=False, gradient_checkpointing=False,
        model_init_kwargs={"dtype": "float32"}, **more,
    )  # fmt: skip
    data = load_dataset("json", data_files=options.prompts, split="train")
    data = data.map(lambda row: {"prompt": [{"role": "user", "content": row["prompt"]}]})
    trainer = (GRPOTrainer if plain else MaestroGRPOTrainer)(
        model=options.model, reward_funcs=[overlap, brevity, sentences], args=config, train_dataset=data,
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"),
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=options.resume)
    trainer.save_model(options.output)
    write_curves(Path(options.output, "curves.csv"), trainer.state.log_history)
    report(trainer.state.log_history, options.output)


if __name__ == "__main__":
    main()
