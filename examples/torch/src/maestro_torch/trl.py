"""MAESTRO inside TRL: GRPOTrainer with reward weights by a Conductor."""

import math
import os
import random
import time
from dataclasses import dataclass, field

import torch
from trl import GRPOConfig, GRPOTrainer

from maestro_torch import RewardSide
from maestro_torch.terminal_states import TerminalStates, adapters_are_off, decoder_of

STATE_FILE = "maestro.safetensors"
SOURCES = ("auto", "pass", "generation", "forward")


@dataclass
class MaestroGRPOConfig(GRPOConfig):
    """GRPOConfig and what the Conductor needs.

    conductor: its name (maestro_torch.conductors). `linear` and `mlp` learn from hidden states.
    conductor_options: by the names of the program train, such as {"conductor_learning_rate": 1e-3}.
    scalarization: `default` (the own-weight baseline on standardized rewards), a name in maestro_torch.scalarizations,
        or `as_trl`: what scale_rewards and multi_objective_aggregation say.
    scalarization_options: normalizer (none, z_score, rank) and scalarizer.
    hidden_states: where h comes from. `pass`: from TRL's pass for the old log-probs; `generation`: from generate(), one
        token earlier, at no cost; `forward`: from a pass of its own; `auto`: the first of these that there is.
    judge_share: share of the groups that the trainer's judge scores, drawn at random; fractions add up over steps.
    """

    conductor: str = field(default="linear", metadata={"help": "Conductor that weighs the rewards"})
    conductor_options: dict | str | None = field(default=None, metadata={"help": "Its options"})
    scalarization: str = field(default="default", metadata={"help": "Weighted rewards to advantages"})
    scalarization_options: dict | str | None = field(default=None, metadata={"help": "Its options"})
    hidden_states: str = field(default="auto", metadata={"help": "auto, pass, generation or forward"})

    judge_share: float = field(default=0.05, metadata={"help": "Share of the groups that the judge scores"})

    _VALID_DICT_FIELDS = GRPOConfig._VALID_DICT_FIELDS + ["conductor_options", "scalarization_options"]

    def __post_init__(self):
        super().__post_init__()
        if self.hidden_states not in SOURCES:
            raise ValueError(f"hidden_states is '{self.hidden_states}', expected one of: {', '.join(SOURCES)}")
        if not 0 < self.judge_share <= 1:
            raise ValueError(f"judge_share is {self.judge_share}, expected a share in (0, 1]")


class MaestroGRPOTrainer(GRPOTrainer):
    """GRPOTrainer whose reward weights come from a Conductor.

    It takes everything that GRPOTrainer takes. Where GRPOTrainer sums rewards by reward_weights, the Conductor decides
    the weights of every response from its terminal hidden state and the rewards, and learns from what follows. Every
    process computes the same from the gathered rewards and states, so the Conductor is the same on all of them.
    Evaluation is left as it is in TRL. The Conductor's state is saved and loaded with the checkpoints.

    judge: something better than the rewards and too dear to score everything, with the signature of a reward function.
        It scores args.judge_share of the groups and is no reward itself. The Conductor `anchored` learns from it how far
        each reward can be trusted; with any other it is only watched (conductor/anchor_rank_correlation).
    """

    def __init__(self, *args, judge=None, **kwargs):
        super().__init__(*args, **kwargs)
        self._judge, self._judged = judge, None
        if not isinstance(self.args, MaestroGRPOConfig):
            raise TypeError("MaestroGRPOTrainer: args must be a MaestroGRPOConfig")
        if judge is None and self.args.conductor == "anchored":
            raise ValueError("the conductor 'anchored' learns from a judge's scores: give the trainer a judge")
        self._rewards = None
        self._turns = 0
        self._side = self._make_side()
        model = self.accelerator.unwrap_model(self.model)
        self._terminal = TerminalStates(decoder_of(model), self.eos_token_ids)

    def _make_side(self):
        options = dict(self.args.conductor_options or {})
        if self.args.reward_weights is not None:
            if self.args.conductor not in ("fixed", "contrast", "hypervolume_guided") or "weights" in options:
                raise ValueError(
                    f"reward_weights has no effect with the conductor '{self.args.conductor}', which decides the "
                    "weights; leave it out, or take the conductor 'fixed'"
                )
            options["weights"] = self.reward_weights.tolist()
        return RewardSide(
            rewards=len(self.reward_funcs),
            conductor=self.args.conductor,
            conductor_options=options,
            scalarization=self._scalarization_name(),
            scalarization_options=dict(self.args.scalarization_options or {}),
            seed=self.args.seed,
        )

    def _scalarization_name(self):
        if self.args.scalarization != "as_trl":
            return self.args.scalarization
        if self.multi_objective_aggregation == "normalize_then_sum":
            return "trl_gdpo"
        return {"group": "trl", "batch": "batch", "none": "none"}[self.scale_rewards]

    # The steps of GRPOTrainer that the reward side looks into.

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        self._rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        if self._judge is not None and self.model.training:
            self._judged = self._ask_judge(inputs, prompts, completions, completion_ids_list)
        return self._rewards

    def _generate_single_turn(self, *args, **kwargs):
        self._turns += 1
        if self.use_vllm or self.use_transformers_continuous_batching or self._turns > 1:
            self._terminal.forget()
            return super()._generate_single_turn(*args, **kwargs)
        with self._terminal.of_generation():
            return super()._generate_single_turn(*args, **kwargs)

    def _get_per_token_logps_and_entropies(self, model, input_ids, attention_mask, *args, **kwargs):
        scoring = self._rewards is None and self._turns > 0  # between the responses and their rewards
        source = self.args.hidden_states
        if not scoring or source in ("generation", "forward") or model is not self.model or adapters_are_off(model):
            return super()._get_per_token_logps_and_entropies(model, input_ids, attention_mask, *args, **kwargs)
        with self._terminal.of_pass(attention_mask):
            return super()._get_per_token_logps_and_entropies(model, input_ids, attention_mask, *args, **kwargs)

    def _generate_and_score_completions(self, inputs):
        self._rewards, self._judged, self._turns = None, None, 0
        self._terminal.forget()
        self._terminal.seconds = 0.0
        output = super()._generate_and_score_completions(inputs)
        if self.model.training:
            read, start = self._terminal.seconds, time.perf_counter()
            self._weigh(output)
            self._metrics["train"]["conductor/step_time"].append(read + time.perf_counter() - start)
        self._turns = 0
        return output

    # What it adds.

    def _weigh(self, output):
        hidden = self.accelerator.gather(self._terminal_states(output))
        lengths = self.accelerator.gather(output["completion_mask"].sum(dim=1))
        responses = self._rewards.size(0)
        step = self._side.step(
            hidden.float().contiguous(),
            self._rewards.float().contiguous(),
            [self.num_generations] * (responses // self.num_generations),
            lengths=lengths.tolist(),
            judged=self._judged,
        )
        local = output["advantages"].size(0)
        first = self.accelerator.process_index * local
        output["advantages"] = step["advantages"][first : first + local].to(output["advantages"])
        self._log_step(step)

    def _judged_groups(self, count):
        """Places of the groups that are judged: a function of seed and step, so that a resumed run asks about the same."""
        step, share = self._side.steps_done, self.args.judge_share
        number = math.floor((step + 1) * share * count + 1e-9) - math.floor(step * share * count + 1e-9)
        return set(random.Random(f"{self.args.seed}:{step}").sample(range(count), number))

    def _ask_judge(self, inputs, prompts, completions, completion_ids):
        """The judge's scores of all processes' responses, NaN where it was not asked."""
        first = self.accelerator.process_index * len(prompts)
        chosen = self._judged_groups(self._rewards.size(0) // self.num_generations)
        rows = [i for i in range(len(prompts)) if (first + i) // self.num_generations in chosen]
        scores = torch.full((len(prompts),), math.nan, device=self.accelerator.device)
        if rows:
            pick = lambda values: [values[i] for i in rows]
            keys = [key for key in inputs[0] if key not in ("prompt", "completion", "completion_ids")]
            given = self._judge(
                prompts=pick(prompts), completions=pick(completions), completion_ids=pick(completion_ids),
                **{key: pick([example[key] for example in inputs]) for key in keys},
            )  # fmt: skip
            if len(given) != len(rows):
                raise ValueError(f"the judge gave {len(given)} scores for {len(rows)} completions")
            scores[rows] = torch.tensor([math.nan if s is None else float(s) for s in given], device=scores.device)
        self._metrics["train"]["judge/calls"].append(float(len(chosen) * self.num_generations))
        return self.accelerator.gather(scores).float().cpu().contiguous()

    def _terminal_states(self, output):
        source, responses = self.args.hidden_states, output["completion_ids"].size(0)
        found = {"pass": self._terminal.passed(), "generation": self._terminal.generated()}
        for name, states in found.items():
            if source in ("auto", name) and states is not None and states.size(0) == responses:
                return states
        if source in found:
            raise ValueError(
                f"hidden_states is '{source}', but TRL makes no such pass with these settings; take 'auto' or 'forward'"
            )
        return self._own_pass(output)

    def _own_pass(self, output):
        ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
        mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
        decoder = decoder_of(self.accelerator.unwrap_model(self.model))
        self._terminal.forget()
        with torch.no_grad(), self.accelerator.autocast(), self._terminal.of_pass(mask):
            for start in range(0, ids.size(0), self.args.per_device_train_batch_size):
                part = slice(start, start + self.args.per_device_train_batch_size)
                decoder(input_ids=ids[part], attention_mask=mask[part])
        return self._terminal.passed()

    def _log_step(self, step):
        metrics = self._metrics["train"]
        weights = step["weights"]
        for k, name in enumerate(self.reward_func_names):
            metrics[f"conductor/weight/{name}"].append(weights[:, k].mean().item())
            self._logs["extra"][f"weight/{name}"].extend(weights[:, k].tolist())
        for name, value in step["metrics"].items():
            metrics[f"conductor/{name}"].append(value)
        for _ in range(min(len(self._logs["advantages"]), weights.size(0))):
            self._logs["advantages"].pop()
        self._logs["advantages"].extend(step["advantages"].tolist())

    def _save_checkpoint(self, model, trial):
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            folder = os.path.join(self._get_output_dir(trial=trial), f"checkpoint-{self.state.global_step}")
            self._side.save(os.path.join(folder, STATE_FILE))

    def _load_optimizer_and_scheduler(self, checkpoint):
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        path = os.path.join(checkpoint, STATE_FILE)
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path}: the checkpoint holds no Conductor; was it made by another trainer?")
        self._side.load(path)
