"""Tests of maestro_torch on CUDA tensors, beside the same on the CPU. They need torch alone, and a CUDA device."""

import math
import os
import tempfile
import unittest

import torch

import maestro_torch

GROUPS = [4, 3, 5]


def batches(rewards=3, count=6, width=64):
    generator = torch.Generator().manual_seed(11)
    for _ in range(count):
        hidden = torch.randn(sum(GROUPS), width, generator=generator)
        values = torch.rand(sum(GROUPS), rewards, generator=generator)
        values[1, 0] = math.nan
        yield hidden, values


def side_of(conductor="linear", rewards=3, scalarization="default"):
    learns = conductor in ("linear", "mlp")
    options = {"conductor_learning_rate": 0.05, "conductor_period": 2} if learns else {}
    return maestro_torch.RewardSide(rewards, conductor, options, scalarization, seed=9)


@unittest.skipUnless(torch.cuda.is_available(), "no CUDA device here")
class OnCuda(unittest.TestCase):
    def close(self, there, here):
        self.assertTrue(there.is_cuda)
        torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-5)

    def compare(self, **settings):
        ours, host = side_of(**settings), side_of(**settings)
        for hidden, values in batches(settings.get("rewards", 3)):
            there = ours.step(hidden.cuda(), values.cuda(), GROUPS)
            here = host.step(hidden, values, GROUPS)
            for name in ("advantages", "scalar_rewards", "weights"):
                self.close(there[name], here[name])
            self.assertEqual(there["metrics"].keys(), here["metrics"].keys())
            for name, value in here["metrics"].items():
                self.assertAlmostEqual(there["metrics"][name], value, delta=1e-4 * max(1.0, abs(value)), msg=name)
        self.close(ours.weights(hidden.cuda()), host.weights(hidden))

    def test_the_learned_conductors(self):
        for conductor in ("linear", "mlp"):
            for rewards in (2, 3, 4, 5):
                self.compare(conductor=conductor, rewards=rewards)

    def test_an_estimator_of_the_host(self):
        self.compare(scalarization="leave_one_out")

    def test_what_goes_through_the_host(self):
        self.compare(conductor="saw")
        self.compare(rewards=6)

    def test_another_stream(self):
        ours, host = side_of(), side_of()
        for i, (hidden, values) in enumerate(batches()):
            stream = torch.cuda.Stream() if i % 2 else torch.cuda.current_stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                there = ours.step(hidden.cuda(), values.cuda(), GROUPS)["advantages"]
            torch.cuda.current_stream().wait_stream(stream)
            self.close(there, host.step(hidden, values, GROUPS)["advantages"])

    def test_the_state_goes_between_device_and_host(self):
        ours, undisturbed, host = side_of(), side_of(), side_of()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "state")
            for i, (hidden, values) in enumerate(batches()):
                expected = undisturbed.step(hidden.cuda(), values.cuda(), GROUPS)["advantages"]
                if i < 3:
                    ours.step(hidden.cuda(), values.cuda(), GROUPS)
                    continue
                if i == 3:
                    ours.save(path)
                    host.load(path)
                    ours = side_of()
                    ours.load(path)
                self.assertTrue(torch.equal(ours.step(hidden.cuda(), values.cuda(), GROUPS)["advantages"], expected))
                self.close(expected, host.step(hidden, values, GROUPS)["advantages"])
            if maestro_torch.built_for_cuda:
                with self.assertRaisesRegex(Exception, "state lies on a CUDA device"):
                    ours.step(hidden, values, GROUPS)

    def test_advantages_and_statistics(self):
        for hidden, values in batches(count=1):
            weights = torch.full_like(values, 0.25)
            for name in ("group", "own_weight", "trl", "leave_one_out"):
                self.close(maestro_torch.advantages(name, values.cuda(), weights.cuda(), GROUPS),
                           maestro_torch.advantages(name, values, weights, GROUPS))  # fmt: skip
            for there, here in zip(maestro_torch.group_statistics(values.cuda(), GROUPS),
                                   maestro_torch.group_statistics(values, GROUPS), strict=True):  # fmt: skip
                self.close(there, here)

    def test_bad_data_is_named(self):
        side = side_of()
        hidden, values = next(batches())
        hidden[2, 1] = math.inf
        with self.assertRaisesRegex(Exception, "hidden state of row 2"):
            side.step(hidden.cuda(), values.cuda(), GROUPS)
        with self.assertRaisesRegex(ValueError, "hidden lies on cuda"):
            side.step(hidden.cuda(), values, GROUPS)


if __name__ == "__main__":
    unittest.main()
