"""What bench_cuda has written, and whether a peer found the same."""

import os

import numpy
import torch


class Different(Exception):
    """The sides do not do the same work."""


class Reference:
    """The folder that bench_cuda has written. `errors` remembers {name: (error, tolerance)}."""

    def __init__(self, folder, device):
        self._folder = folder
        self._device = device
        self.errors = {}

    def read(self, name, dtype=torch.float32):
        """A flat tensor."""
        types = {torch.float32: "<f4", torch.float64: "<f8", torch.int32: "<i4"}
        values = numpy.fromfile(os.path.join(self._folder, name), dtype=types[dtype])
        return torch.from_numpy(values).to(self._device)

    def check(self, name, theirs, tolerance, ours=None, dtype=torch.float32):
        """Every value within tolerance (|ours| + the root of the mean square of ours)."""
        ours = self._pair(name, theirs, self.read(name, dtype) if ours is None else ours)
        theirs = theirs.detach().reshape(-1).double()
        allowed = ours.abs() + ours.square().mean().sqrt()
        self._judge(name, ((theirs - ours).abs() / allowed.clamp(min=1e-300)).max().item(), tolerance)

    def check_norm(self, name, theirs, tolerance, ours):
        """The norm of the difference within tolerance of the norm of ours."""
        ours = self._pair(name, theirs, ours)
        theirs = theirs.detach().reshape(-1).double()
        self._judge(name, ((theirs - ours).norm() / ours.norm().clamp(min=1e-300)).item(), tolerance)

    def check_counts(self, name, actions, probabilities):
        """How often each action was drawn lies within 6 standard deviations of what its probabilities say."""
        q = probabilities.double()
        count = torch.nn.functional.one_hot(actions.long(), q.size(1)).sum(dim=0)
        deviation = (q * (1.0 - q)).sum(dim=0).sqrt()
        self._judge(name, ((count - q.sum(dim=0)).abs() / (deviation + 1e-6)).max().item(), 6.0)

    def _pair(self, name, theirs, ours):
        ours = ours.reshape(-1).double()
        if ours.numel() != theirs.numel():
            raise Different(f"not the same work: {name} has {ours.numel()} values here, {theirs.numel()} there")
        return ours

    def _judge(self, name, error, tolerance):
        self.errors[name] = (error, tolerance)
        if not error <= tolerance:  # also where it is NaN
            raise Different(f"not the same work: {name} differs by {error:.3g}, {tolerance:.3g} is allowed")
