"""What test_trl.py runs under accelerate launch: a few steps whose responses do not depend on the processes."""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from datasets import Dataset

from maestro_torch.trl import MaestroGRPOConfig, MaestroGRPOTrainer
from test_trl import GROUP, PROMPTS, letters, model, shortness, sometimes, tokenizer


def rollouts(prompts, trainer):
    """Responses that follow from the prompt and the place in its group, whatever process they belong to."""
    encode = trainer.processing_class.encode
    prompt_ids, completion_ids = [], []
    for i, prompt in enumerate(prompts):
        place = (trainer.accelerator.process_index * len(prompts) + i) % GROUP
        drawn = hashlib.sha256(f"{trainer.state.global_step} {prompt} {place}".encode()).digest()
        prompt_ids.append(encode(prompt))
        completion_ids.append([2 + byte % 200 for byte in drawn[: 2 + drawn[-1] % 6]] + [0])
    return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}


def main(folder, processes):
    with tempfile.TemporaryDirectory() as output:
        args = MaestroGRPOConfig(
            output_dir=output, per_device_train_batch_size=8 // processes, num_generations=GROUP, max_steps=4,
            max_completion_length=8, learning_rate=1e-2, logging_steps=1, report_to=[], save_strategy="no", seed=3,
            use_cpu=True, disable_tqdm=True, bf16=False, conductor="linear", loss_type="dr_grpo",
            conductor_options={"conductor_learning_rate": 0.05, "conductor_period": 1},
        )  # fmt: skip
        trainer = MaestroGRPOTrainer(
            model=model(), reward_funcs=[letters, shortness, sometimes], args=args, processing_class=tokenizer(),
            train_dataset=Dataset.from_dict({"prompt": PROMPTS}), rollout_func=rollouts,
        )  # fmt: skip
        trainer.train()
    weights = {name: [entry[name] for entry in trainer.state.log_history if name in entry]
               for name in ("conductor/weight/letters", "conductor/kl_to_uniform", "conductor/surrogate")}  # fmt: skip
    found = {**weights, "advantages": list(trainer._logs["advantages"])}
    rank = trainer.accelerator.process_index
    Path(folder, f"{processes}-{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
