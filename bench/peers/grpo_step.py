"""A whole step of TRL's GRPOTrainer: rollouts, rewards, advantages, update."""

import json
import shutil
import tempfile
import time

from datasets import Dataset
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

import text_rewards
from models import make_model, parameters
from protocol import Measurement, say, wait_for_go


class EndOfInput(Exception):
    pass


class Gate(TrainerCallback):
    """Lets the trainer run one step for each `go`, after the steps that warm up."""

    def __init__(self, info, warmup):
        self._info = info
        self._warmup = warmup
        self._measurement = None
        self.figures = {}

    def on_step_begin(self, args, state, control, **_):
        if state.global_step < self._warmup:
            return
        if state.global_step == self._warmup:
            say(self._info)
            say("ready")
        if not wait_for_go():
            raise EndOfInput
        self._measurement = Measurement()

    def on_step_end(self, args, state, control, **_):
        if self._measurement is not None:
            say(self._measurement.figures(self.figures))


def count_rollouts(trainer, gate):
    """Counts the tokens that the trainer draws, and the seconds it takes."""
    generate = trainer._generate_single_turn

    def counted(prompt_ids, *arguments, **keywords):
        start = time.perf_counter()
        completion_ids, log_probs = generate(prompt_ids, *arguments, **keywords)
        gate.figures = {
            "tokens": sum(map(len, completion_ids)),
            "prompt_tokens": sum(map(len, prompt_ids)),
            "rollout_seconds": time.perf_counter() - start,
        }
        return completion_ids, log_probs

    trainer._generate_single_turn = counted


def settings(options, folder):
    """TRL's defaults, but: float32 and no recomputation of activations, since that is faster here; one batch of all
    responses; nothing written or logged; the same rate and temperature as ours."""
    return GRPOConfig(
        output_dir=folder,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        per_device_train_batch_size=options.groups * options.generations,
        gradient_accumulation_steps=1,
        num_generations=options.generations,
        max_completion_length=options.response,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        learning_rate=1e-6,
        lr_scheduler_type="constant",
        optim="adamw_torch_fused",
        weight_decay=0.0,
        max_grad_norm=1.0,
        beta=0.0,
        num_iterations=1,
        loss_type="dapo",
        scale_rewards="group",
        shuffle_dataset=False,
        max_steps=1_000_000,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
    )


def run(options):
    model = make_model(options)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(options.tokenizer)
    tokenizer.padding_side = "left"
    with open(options.prompts) as file:
        prompts = [{"prompt": json.loads(line)["prompt"]} for line in file]
    gate = Gate({"parameters": parameters(model), "checks": text_rewards.probe()}, options.warmup)
    folder = tempfile.mkdtemp()
    try:
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=list(text_rewards.REWARDS),
            args=settings(options, folder),
            train_dataset=Dataset.from_list(prompts),
            processing_class=tokenizer,
            callbacks=[gate],
        )
        count_rollouts(trainer, gate)
        trainer.train()
    except EndOfInput:
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)
