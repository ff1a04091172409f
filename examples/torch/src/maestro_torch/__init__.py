"""MAESTRO's reward Conductor for PyTorch: reward weights that are learned while GRPO trains.

RewardSide turns hidden states and rewards into advantages. maestro_torch.trl has the trainer for TRL.
"""

import torch  # noqa: F401  the extension needs its libraries

from maestro_torch._reward_side import (
    RewardSide,
    advantages,
    built_for_cuda,
    conductors,
    group_statistics,
    scalarizations,
)

__all__ = ["RewardSide", "advantages", "built_for_cuda", "conductors", "group_statistics", "scalarizations"]
