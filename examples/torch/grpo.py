"""GRPO on two columns of a JSON lines file with three rewards, by TRL alone or with MAESTRO's Conductor.

python examples/torch/grpo.py --model DIR --prompts FILE.jsonl [--conductor linear] [--steps 20] --output DIR
The file has "prompt" and "reference". `--conductor trl` is TRL's own trainer.
"""

import argparse

import torch
from datasets import load_dataset
from peft import LoraConfig
from trl import GRPOConfig, GRPOTrainer

from maestro_torch.trl import MaestroGRPOConfig, MaestroGRPOTrainer


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", required=True)
    parser.add_argument("--conductor", default="linear")
    parser.add_argument("--hidden-states", default="auto")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--save-steps", type=int, default=10)
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
        output_dir=options.output, max_steps=options.steps, per_device_train_batch_size=16, num_generations=8,
        max_completion_length=64, learning_rate=5e-5, logging_steps=1, save_steps=options.save_steps, report_to=[],
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


if __name__ == "__main__":
    main()
