"""A Conductor's whole update: bench/cuda/update.hpp in PyTorch, by autograd and the fused AdamW."""

import torch

from device_inputs import LOG_TEMPERATURE, NUM_ACTIONS, Purpose, actions, centered, head_outputs, hidden_states, layers
from device_inputs import uniform
from mlp import check_gradients, forward, gradient_tolerance
from serving import begin_call, compiled, keep_addresses

STEPS = 3
EPSILON = 1e-4
ENTROPY_BONUS = 1e-3
IMPORTANCE_CAP = 2.0
LEARNING_RATE = 5e-5


def loss_of(entries, parameters, log_tau):
    """-(mean of rho m log q(a|h) + entropy bonus H(p)) over the entries of three steps."""
    hidden, drawn, propensities, meta = (torch.cat(parts) for parts in entries)
    logits = forward(hidden, parameters) / log_tau.exp()
    log_p = torch.log_softmax(logits, dim=1)
    p = log_p.exp()
    q = (EPSILON + (1.0 - NUM_ACTIONS * EPSILON) * p).gather(1, drawn).squeeze(1)
    recorded = propensities.gather(1, drawn).squeeze(1)
    rho = (q.detach() / recorded).clamp(max=IMPORTANCE_CAP)
    surrogate = (rho * meta * q.log()).mean()
    entropy = -(p * log_p).sum(dim=1).mean()
    return -surrogate - ENTROPY_BONUS * entropy


def fixed_entries(options):
    """Hidden states, actions, propensities and meta-rewards, each as the parts of three steps."""
    rows, device = options.rows, options.device
    propensities = 0.25 + uniform(Purpose.PROPENSITIES, rows * NUM_ACTIONS, device).view(rows, NUM_ACTIONS)
    whole = (
        hidden_states(options),
        actions(rows, NUM_ACTIONS, device).unsqueeze(1),
        propensities / propensities.sum(dim=1, keepdim=True),
        centered(Purpose.META, rows, device),
    )
    return tuple(tuple(part.clone() for part in values.chunk(STEPS)) for values in whole)


def make(options, reference):
    entries = fixed_entries(options)
    parameters = layers(options.inputs, head_outputs(options), options.device)
    log_tau = torch.tensor(LOG_TEMPERATURE, device=options.device)
    trained = [*parameters, log_tau]
    for parameter in trained:
        parameter.requires_grad_()
    keep_addresses(options, *trained, *(part for parts in entries for part in parts))
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=0.0, fused=True)
    function = compiled(loss_of, options)

    def differentiate():
        begin_call(options)
        optimizer.zero_grad(set_to_none=True)
        loss = function(entries, parameters, log_tau)
        loss.backward()
        return loss

    def call():
        differentiate()
        torch.nn.utils.clip_grad_norm_(trained, 1.0, foreach=True)
        optimizer.step()

    loss = differentiate()
    tolerance = gradient_tolerance(options)
    check_gradients(reference, [p.grad for p in trained], tolerance)
    norm = torch.stack([p.grad.norm() for p in trained]).norm()
    figures = torch.stack([loss.detach(), norm])
    reference.check("figures", figures, tolerance, dtype=torch.float64)
    # The first AdamW step moves every parameter by about the learning rate, whatever its gradient: where the gradient
    # is near 0, rounding decides which way.
    gradients = torch.cat([p.grad.reshape(-1) for p in trained])
    clear = gradients.abs() > (0.5 if options.type == "bf16" else 0.01) * gradients.square().mean().sqrt()
    before = torch.cat([p.detach().reshape(-1) for p in trained])
    call()
    moved = torch.cat([p.detach().reshape(-1) for p in trained]) - before
    ours = reference.read("parameters") - before
    reference.check("step", moved[clear] / LEARNING_RATE, 2e-2, ours=ours[clear] / LEARNING_RATE)
    return call, {}
