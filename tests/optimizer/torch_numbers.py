"""Prints the constants of optimizer_test.cpp: torch.optim's AdamW and SGD on a fixed problem, in float64."""

import torch


def run(make, clip=None):
    p = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([0.25, -0.75], dtype=torch.float64, requires_grad=True)
    optimizer = make(p, q)
    for step in range(5):
        p.grad = torch.tensor([0.1 * (i + 1) * (-1) ** (i + step) + 0.05 * step for i in range(4)], dtype=torch.float64)
        q.grad = torch.tensor([1.0 - 0.3 * step, 2e-9 * (step + 1)], dtype=torch.float64)
        if clip:
            print("  norm", float(torch.nn.utils.clip_grad_norm_([p, q], clip)))
        optimizer.step()
    print(" ", ", ".join(f"{v:.15g}" for v in [*p.tolist(), *q.tolist()]))


def groups(p, q, decay):
    return [{"params": [p], "weight_decay": decay}, {"params": [q], "weight_decay": 0.0}]


print("AdamW lr 0.01 decay 0.1 on the first tensor")
run(lambda p, q: torch.optim.AdamW(groups(p, q, 0.1), lr=0.01))
print("AdamW lr 0.1 betas 0.5 0.9 eps 1e-3, clip 0.4")
run(lambda p, q: torch.optim.AdamW(groups(p, q, 0.0), lr=0.1, betas=(0.5, 0.9), eps=1e-3), clip=0.4)
print("SGD lr 0.1 momentum 0.9 decay 0.2 on the first tensor")
run(lambda p, q: torch.optim.SGD(groups(p, q, 0.2), lr=0.1, momentum=0.9))
print("SGD lr 0.1")
run(lambda p, q: torch.optim.SGD(groups(p, q, 0.0), lr=0.1))
