"""Forward and backward of a head: bench/cuda/mlp.hpp in PyTorch."""

import torch

from device_inputs import NUM_ACTIONS, Purpose, centered, head_outputs, hidden_states, layers
from serving import begin_call, compiled, keep_addresses


def forward(hidden, parameters):
    """Logits (B x K) in float. The products are in the type of the hidden states; parameters are float."""
    x = hidden
    for at in range(0, len(parameters), 2):
        if at > 0:
            x = torch.tanh(x)
        x = torch.nn.functional.linear(x, parameters[at].to(x.dtype), parameters[at + 1].to(x.dtype))
    return x.float()


def check_gradients(reference, gradients, tolerance):
    """One parameter after the other."""
    ours = reference.read("gradients")
    at = 0
    for index, gradient in enumerate(gradients):
        reference.check_norm(f"gradient {index}", gradient, tolerance, ours[at : at + gradient.numel()])
        at += gradient.numel()


def gradient_tolerance(options):
    return 2e-2 if options.type == "bf16" else 1e-4


def make(options, reference):
    hidden = hidden_states(options)
    parameters = layers(options.inputs, head_outputs(options), options.device)
    for parameter in parameters:
        parameter.requires_grad_()
    shape = (options.rows, NUM_ACTIONS)
    by_logits = centered(Purpose.LOGIT_GRADIENTS, options.rows * NUM_ACTIONS, options.device).view(shape)
    keep_addresses(options, hidden, *parameters)
    function = compiled(forward, options)

    def run():
        begin_call(options)
        logits = function(hidden, parameters)
        return logits, torch.autograd.grad(logits, parameters, by_logits)

    logits, gradients = run()
    reference.check("logits", logits, 2e-2 if options.type == "bf16" else 1e-4)
    check_gradients(reference, gradients, gradient_tolerance(options))
    return run, {}
