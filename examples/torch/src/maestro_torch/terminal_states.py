"""The terminal hidden state of each response, read from passes that are made anyway."""

import time

import torch


def decoder_of(model):
    """The module that ends with the hidden states that the LM head reads."""
    if hasattr(model, "get_base_model"):  # PEFT
        model = model.get_base_model()
    return model.get_decoder()


def adapters_are_off(model):
    """Whether a PEFT model now computes as its base, or with an adapter other than the one that is trained."""
    if not hasattr(model, "peft_config"):
        return False
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = (module for module in model.modules() if isinstance(module, BaseTunerLayer))
    return any(layer.disable_adapters or "ref" in layer.active_adapters for layer in layers)


class TerminalStates:
    """Keeps h of every response from the decoder's passes.

    From a pass over whole sequences, h is the state behind the last token. From generation it is the state that the
    last token was drawn from, one token earlier, since nothing computes the later one. `seconds` adds up what reading
    took.
    """

    def __init__(self, decoder, end_tokens):
        self.seconds = 0.0
        self._end_tokens = torch.tensor(sorted(set(end_tokens)))
        self._mode = None
        self._mask = None
        self.forget()
        decoder.register_forward_hook(self._on_pass, with_kwargs=True)

    def forget(self):
        self._parts = []
        self._generated = None
        self._finished = None

    def passed(self):
        """(B x d) in float32 of the passes since forget(), or None."""
        return torch.cat(self._parts) if self._parts else None

    def generated(self):
        """(B x d) in float32 of the generation since forget(), or None."""
        return self._generated

    def of_pass(self, mask):
        """A context in which the pass over the sequences with this attention mask is read."""
        return self._Reading(self, "pass", mask)

    def of_generation(self):
        """A context in which the passes of generate() are read."""
        self.forget()
        return self._Reading(self, "generation", None)

    class _Reading:
        def __init__(self, owner, mode, mask):
            self._owner, self._mode, self._mask = owner, mode, mask

        def __enter__(self):
            self._owner._mode, self._owner._mask, self._owner._read = self._mode, self._mask, 0

        def __exit__(self, *_):
            self._owner._mode = None

    def _on_pass(self, _module, args, kwargs, output):
        if self._mode is None:
            return
        start = time.perf_counter()
        hidden = (output[0] if isinstance(output, tuple) else output.last_hidden_state).detach()
        if self._mode == "pass":
            self._read_pass(hidden)
        else:
            ids = kwargs.get("input_ids", args[0] if args else None)
            self._read_generation(hidden, ids)
        self.seconds += time.perf_counter() - start

    def _read_pass(self, hidden):
        mask = self._mask[self._read : self._read + hidden.size(0)]
        self._read += hidden.size(0)
        places = torch.arange(mask.size(1), device=mask.device)
        last = (mask * places).argmax(dim=1)
        self._parts.append(hidden[torch.arange(hidden.size(0), device=hidden.device), last].float())

    def _read_generation(self, hidden, ids):
        state = hidden[:, -1].float()
        if self._generated is None or self._generated.size(0) != state.size(0):
            self._generated = state
            self._finished = torch.zeros(state.size(0), dtype=torch.bool, device=state.device)
            return
        self._finished |= torch.isin(ids[:, -1], self._end_tokens.to(ids.device))
        self._generated = torch.where(self._finished.unsqueeze(1), self._generated, state)
