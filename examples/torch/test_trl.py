"""Tests of maestro_torch, without network: python -m unittest examples/torch/test_trl.py

MAESTRO_REWARD_SIDE names the program reward_side of the C++ build, which the last bits are compared with.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed
from trl import GRPOConfig, GRPOTrainer

import maestro_torch
from maestro_torch.trl import STATE_FILE, MaestroGRPOConfig, MaestroGRPOTrainer

GROUP = 4
PROMPTS = ["a tree", "blue", "hello there", "three", "what is it?", "x", "you and me", "zero"]


def tokenizer():
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate(["<end>", "<pad>", *letters])}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>", pad_token="<pad>")


def model():
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=258, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=64, eos_token_id=0, pad_token_id=1, bos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def letters(completions, **_):
    return [sum(c.isalpha() for c in text) / 8 for text in completions]


def shortness(completion_ids, **_):
    return [-len(ids) / 4 for ids in completion_ids]


def sometimes(completions, **_):
    return [float(len(text)) if len(text) % 3 else None for text in completions]


def settings(folder, cls, **changes):
    values = dict(
        output_dir=folder, per_device_train_batch_size=8, num_generations=GROUP, max_completion_length=8,
        learning_rate=1e-2, max_steps=3, logging_steps=1, report_to=[], save_strategy="no", seed=3, use_cpu=True,
        disable_tqdm=True, bf16=False,
    )  # fmt: skip
    values.update(changes)
    return cls(**values)


def trainer_of(cls, args, rewards=(letters, shortness, sometimes), **more):
    set_seed(3)
    return cls(
        model=model(), reward_funcs=list(rewards), args=args, processing_class=tokenizer(),
        train_dataset=Dataset.from_dict({"prompt": PROMPTS}), **more,
    )  # fmt: skip


def history(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


class EqualToTrl(unittest.TestCase):
    def compare(self, **changes):
        with tempfile.TemporaryDirectory() as folder:
            theirs = trainer_of(GRPOTrainer, settings(folder, GRPOConfig, **changes))
            theirs.train()
        with tempfile.TemporaryDirectory() as folder:
            conductor = "fixed" if "reward_weights" in changes else "unit"
            args = settings(folder, MaestroGRPOConfig, conductor=conductor, scalarization="as_trl", **changes)
            ours = trainer_of(MaestroGRPOTrainer, args)
            ours.train()
        for a, b in zip(theirs._logs["advantages"], ours._logs["advantages"], strict=True):
            self.assertAlmostEqual(a, b, delta=1e-6 * max(1.0, abs(a)))
        for name in ("loss", "grad_norm", "entropy", "reward", "frac_reward_zero_std"):
            for a, b in zip(history(theirs, name), history(ours, name), strict=True):
                self.assertAlmostEqual(a, b, delta=1e-5 if name == "grad_norm" else 1e-6, msg=name)
        self.assertGreater(len(history(ours, "conductor/weight/letters")), 1)

    def test_group(self):
        self.compare()

    def test_batch(self):
        self.compare(scale_rewards="batch")

    def test_none(self):
        self.compare(scale_rewards="none")

    def test_gdpo(self):
        self.compare(multi_objective_aggregation="normalize_then_sum")

    def test_weights(self):
        self.compare(reward_weights=[0.5, 2.0, 0.25])

    def test_several_iterations_and_accumulation(self):
        self.compare(num_iterations=2, gradient_accumulation_steps=2, max_steps=4)


class Conductors(unittest.TestCase):
    options = {"conductor_learning_rate": 0.05, "conductor_period": 1}

    def run_steps(self, folder, resume=None, **changes):
        args = settings(
            folder, MaestroGRPOConfig, conductor="linear", conductor_options=self.options, **changes
        )  # fmt: skip
        trainer = trainer_of(MaestroGRPOTrainer, args)
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    def test_it_learns_and_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            trainer = self.run_steps(folder, max_steps=4)
        self.assertGreater(history(trainer, "conductor/kl_to_uniform")[-1], 0.0)
        self.assertEqual(history(trainer, "conductor/samples"), [8, 8, 8, 8])
        for added, whole in zip(history(trainer, "conductor/step_time"), history(trainer, "step_time"), strict=True):
            self.assertTrue(0 < added < whole, (added, whole))
        self.assertEqual(len(trainer._logs["extra"]["weight/letters"]), len(trainer._logs["advantages"]))

    def test_a_judge_of_some_groups_moves_the_weights(self):
        asked = []

        def judge(prompts, completions, completion_ids, **columns):
            asked.append(len(completions))
            self.assertEqual(len(prompts), len(completions))
            return [None if not text else sum(c.isalpha() for c in text) for text in completions]

        def run_steps(folder, resume=None, **changes):
            args = settings(folder, MaestroGRPOConfig, conductor="anchored", judge_share=0.5, **changes)
            trainer = trainer_of(MaestroGRPOTrainer, args, judge=judge)
            trainer.train(resume_from_checkpoint=resume)
            return trainer

        with tempfile.TemporaryDirectory() as folder:
            whole = run_steps(folder, max_steps=6, save_strategy="steps", save_steps=3)
            self.assertEqual(sum(asked), 6 * 4)  # one of the two groups of each step
            self.assertEqual(history(whole, "judge/calls"), [4.0] * 6)
            weights = [history(whole, f"conductor/weight/{name}") for name in ("letters", "shortness")]
            self.assertAlmostEqual(weights[0][0], weights[1][0], places=2)  # before anything is learned
            self.assertGreater(weights[0][-1], weights[1][-1] + 0.1)
            self.assertTrue(history(whole, "conductor/anchor_rank_correlation"))
            again = run_steps(folder, os.path.join(folder, "checkpoint-3"), max_steps=6, save_strategy="no")
            for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
                self.assertTrue(torch.equal(a, b))

    def test_anchored_without_a_judge_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(ValueError, "give the trainer a judge"):
                trainer_of(MaestroGRPOTrainer, settings(folder, MaestroGRPOConfig, conductor="anchored"))
            with self.assertRaisesRegex(ValueError, "judge_share"):
                settings(folder, MaestroGRPOConfig, judge_share=0.0)

    def test_hidden_states(self):
        """The pass, a pass of its own and generation give what the model says they should."""
        states = {}
        for source in ("pass", "generation", "forward"):
            with tempfile.TemporaryDirectory() as folder:
                args = settings(
                    folder, MaestroGRPOConfig, hidden_states=source, num_iterations=2, gradient_accumulation_steps=1
                )  # fmt: skip
                trainer = trainer_of(MaestroGRPOTrainer, args)
                batch = next(iter(trainer.get_train_dataloader()))
                trainer.model.train()
                set_seed(7)
                seen = []
                step = trainer._side.step
                trainer._side = Spy(step, seen, trainer._side)
                output = trainer._generate_and_score_completions(batch)
                states[source] = seen[0]
        ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
        mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
        for i in range(ids.size(0)):
            own = ids[i][mask[i].bool()].unsqueeze(0)
            with torch.no_grad():
                hidden = trainer.model.model(input_ids=own).last_hidden_state[0]
            torch.testing.assert_close(states["pass"][i], hidden[-1], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(states["forward"][i], hidden[-1], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(states["generation"][i], hidden[-2], rtol=1e-4, atol=1e-5)

    def test_resume_goes_on_as_if_nothing_had_been(self):
        with tempfile.TemporaryDirectory() as folder:
            whole = self.run_steps(folder, max_steps=6, save_strategy="steps", save_steps=3)
            checkpoint = os.path.join(folder, "checkpoint-3")
            self.assertTrue(os.path.exists(os.path.join(checkpoint, STATE_FILE)))
            again = self.run_steps(folder, checkpoint, max_steps=6, save_strategy="no")
            for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
                self.assertTrue(torch.equal(a, b))
            whole._side.save(os.path.join(folder, "a"))
            again._side.save(os.path.join(folder, "b"))
            self.assertEqual(Path(folder, "a").read_bytes(), Path(folder, "b").read_bytes())

    def test_a_checkpoint_without_a_conductor_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            self.run_steps(folder, max_steps=2, save_strategy="steps", save_steps=1)
            os.remove(os.path.join(folder, "checkpoint-1", STATE_FILE))
            with self.assertRaisesRegex(FileNotFoundError, "holds no Conductor"):
                self.run_steps(folder, os.path.join(folder, "checkpoint-1"), max_steps=2)

    def test_weights_without_effect_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(ValueError, "reward_weights has no effect"):
                self.run_steps(folder, reward_weights=[1.0, 2.0, 3.0])


class Spy:
    def __init__(self, step, seen, side):
        self._step, self._seen, self._side = step, seen, side

    def step(self, hidden, *args, **kwargs):
        self._seen.append(hidden)
        return self._step(hidden, *args, **kwargs)


def batches(count=5, groups=3, size=4, rewards=3, width=6):
    generator = torch.Generator().manual_seed(11)
    for _ in range(count):
        hidden = torch.randn(groups * size, width, generator=generator)
        values = torch.rand(groups * size, rewards, generator=generator)
        values[1, 0] = math.nan
        yield hidden, values, [size] * groups


class TheReward(unittest.TestCase):
    def test_bits_of_the_library(self):
        program = os.environ.get("MAESTRO_REWARD_SIDE")
        if not program:
            self.skipTest("MAESTRO_REWARD_SIDE names no program")
        side = maestro_torch.RewardSide(
            3, "linear", {"conductor_learning_rate": 0.05, "conductor_period": 2}, seed=9
        )  # fmt: skip
        lines, expected = [], []
        for hidden, rewards, sizes in batches():
            rows = torch.cat([hidden, rewards], dim=1)
            lines += [" ".join(value.hex() for value in row) for row in rows.double().tolist()]
            expected += [float(a) for a in side.step(hidden, rewards, sizes)["advantages"]]
        done = subprocess.run([program], input="\n".join(lines), capture_output=True, text=True, check=True)
        self.assertEqual([float.fromhex(word) for word in done.stdout.split()], expected)

    def test_state_goes_on(self):
        whole = maestro_torch.RewardSide(3, "mlp", {"conductor_period": 2}, seed=1)
        first = maestro_torch.RewardSide(3, "mlp", {"conductor_period": 2}, seed=1)
        second = maestro_torch.RewardSide(3, "mlp", {"conductor_period": 2}, seed=1)
        with tempfile.TemporaryDirectory() as folder:
            for i, batch in enumerate(batches()):
                side = first if i < 3 else second
                if i == 3:
                    first.save(os.path.join(folder, "state"))
                    second.load(os.path.join(folder, "state"))
                self.assertTrue(torch.equal(whole.step(*batch)["advantages"], side.step(*batch)["advantages"]))

    def test_every_name(self):
        hidden, rewards, sizes = next(batches())
        rewards = rewards.nan_to_num(0.5)
        for name in maestro_torch.scalarizations:
            weights = torch.full_like(rewards, 1 / 3)
            lengths = list(range(1, rewards.size(0) + 1))
            options = {"normalizer": "none"}
            got = maestro_torch.advantages(name, rewards, weights, sizes, lengths, options)
            self.assertTrue(torch.isfinite(got).all(), name)
        mean, deviation = maestro_torch.group_statistics(rewards, sizes)
        torch.testing.assert_close(mean, rewards.double().view(3, 4, 3).mean(1))
        torch.testing.assert_close(deviation, rewards.double().view(3, 4, 3).std(1))

    def test_the_state_of_the_prompt_as_context(self):
        side = maestro_torch.RewardSide(3, "anchored", {"anchor_context": "prompt"})
        for hidden, rewards, sizes in batches():
            prompts = hidden.view(3, 4, -1).mean(1).contiguous()
            step = side.step(hidden, rewards, sizes, judged=rewards[:, 1].contiguous(), prompt_hidden=prompts)
        self.assertGreater(step["weights"][:, 1].mean().item(), 0.5)
        self.assertGreater(step["metrics"]["anchor_rank_correlation"], 0.5)
        with self.assertRaisesRegex(Exception, "end of each group's prompt"):
            side.step(hidden, rewards, sizes)

    def test_what_does_not_fit_is_refused(self):
        hidden, rewards, sizes = next(batches())
        side = maestro_torch.RewardSide(3)
        for bad, words in (
            ((hidden, rewards[:, :2].contiguous(), sizes), "columns"),
            ((hidden.double(), rewards, sizes), "float32"),
            ((hidden, rewards.t(), sizes), "not contiguous"),
            ((hidden[:4], rewards, sizes), "rows"),
            ((hidden, rewards, [4, 4]), "add up"),
        ):
            with self.assertRaisesRegex((ValueError, RuntimeError), words):
                side.step(*bad)
        with self.assertRaisesRegex(Exception, "no option 'rate'"):
            maestro_torch.RewardSide(3, "linear", {"rate": 1.0})
        with self.assertRaisesRegex(Exception, "conductor"):
            maestro_torch.RewardSide(3, "liner")


class Processes(unittest.TestCase):
    def launch(self, processes, folder):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command += [str(Path(__file__).with_name("two_processes.py")), folder, str(processes)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(Path(folder, f"{processes}-{rank}.json").read_text()) for rank in range(processes)]

    def test_two_are_as_one(self):
        with tempfile.TemporaryDirectory() as folder:
            one = self.launch(1, folder)[0]
            two = self.launch(2, folder)
        self.assertEqual(two[0], two[1])
        for name, values in one.items():
            torch.testing.assert_close(torch.tensor(two[0][name]), torch.tensor(values), rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    unittest.main()
