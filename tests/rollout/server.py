#!/usr/bin/env python3
"""A small rollout server over transformers that speaks SGLang's and vLLM's dialects, for tests by hand.

    python3 tests/rollout/server.py --model DIR --port 8000 [--dtype float32] [faults]
    train --rollout-url http://127.0.0.1:8000 --rollout-dialect sglang ...

It draws one group at a time on the CPU, takes whole weights (/update_weights_from_disk) and adapters in PEFT's layout
(/load_lora_adapter, /v1/load_lora_adapter), and fails as it is told to: every N-th call to generate is slow, answered
by status 500, cut, of too few responses, of another version, or no JSON. It is no server for production.
"""

import argparse
import http.server
import json
import os
import threading
import time

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", required=True, help="folder of the model")
parser.add_argument("--port", type=int, default=8000)
parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
parser.add_argument("--served-model-name", default="base", help="of the base, in vLLM's dialect")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--slow-every", type=int, default=0, help="that call waits --slow-seconds")
parser.add_argument("--slow-seconds", type=float, default=5.0)
for fault in ("fail", "truncate", "drop", "version", "malformed"):
    parser.add_argument(f"--{fault}-every", type=int, default=0)
args = parser.parse_args()
torch.set_num_threads(args.threads)

lock = threading.Lock()
counter = {"generate": 0, "faults": 0}


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, args.dtype)).eval()


class Weights:
    """The model, with the product of at most one adapter added to it."""

    def __init__(self, folder):
        self.model = load(folder)
        self.version = "default"
        self.adapters = {}
        self.active = ""

    def deltas(self, name):
        for path, a, b, scale in self.adapters[name]:
            yield self.model.get_submodule(path).weight, (scale * (b @ a)).to(self.model.dtype)

    def use(self, name):
        if name == self.active:
            return
        with torch.no_grad():
            if self.active:
                for path, weight in self.base.items():
                    self.model.get_submodule(path).weight.copy_(weight)
            if name:
                self.base = {path: self.model.get_submodule(path).weight.clone() for path, *_ in self.adapters[name]}
                for weight, delta in self.deltas(name):
                    weight.add_(delta)
        self.active = name

    def load_adapter(self, name, folder):
        if name in self.adapters:
            raise ValueError(f"adapter {name} is loaded already")
        with open(os.path.join(folder, "adapter_config.json"), encoding="utf-8") as file:
            config = json.load(file)
        scale = config["lora_alpha"] / (config["r"] ** 0.5 if config.get("use_rslora") else config["r"])
        tensors = load_file(os.path.join(folder, "adapter_model.safetensors"))
        layers = []
        for key, a in tensors.items():
            if not key.endswith(".lora_A.weight"):
                continue
            path = key[len("base_model.model."):-len(".lora_A.weight")]
            layers.append((path, a.float(), tensors[key.replace("lora_A", "lora_B")].float(), scale))
        self.adapters[name] = layers

    def unload_adapter(self, name):
        if name == self.active:
            self.use("")
        del self.adapters[name]


weights = Weights(args.model)


@torch.no_grad()
def draw(prompt, count, limit, temperature, stops, seed):
    """Draws `count` responses; for each (tokens, log-probs, stopped, hidden state that produced the last token)."""
    model = weights.model
    generator = torch.Generator().manual_seed(seed)
    out = model.model(input_ids=torch.tensor([prompt] * count), use_cache=True)
    results = [([], [], False, None) for _ in range(count)]
    running = [True] * count
    for _ in range(limit):
        hidden = out.last_hidden_state[:, -1]
        logits = model.lm_head(hidden).float()
        log_probs = torch.log_softmax(logits / temperature if temperature > 0 else logits, dim=-1)
        if temperature > 0:
            tokens = torch.multinomial(log_probs.exp(), 1, generator=generator)[:, 0]
        else:
            tokens = log_probs.argmax(dim=-1)
        for i in range(count):
            if not running[i]:
                continue
            token = int(tokens[i])
            ids, values, _, _ = results[i]
            ids.append(token)
            values.append(float(log_probs[i, token]))
            results[i] = (ids, values, token in stops, hidden[i].float().tolist())
            running[i] = token not in stops
        if not any(running):
            break
        out = model.model(input_ids=tokens[:, None], past_key_values=out.past_key_values, use_cache=True)
    return results


def sglang(request):
    s = request["sampling_params"]
    weights.use(request.get("lora_path", ""))
    answers = []
    drawn = draw(request["input_ids"], s["n"], s["max_new_tokens"], s["temperature"], set(s["stop_token_ids"]),
                 int.from_bytes(os.urandom(4), "little"))
    for ids, values, stopped, hidden in drawn:
        finish = {"type": "stop", "matched": ids[-1]} if stopped else {"type": "length", "length": len(ids)}
        meta = {
            "finish_reason": finish,
            "prompt_tokens": len(request["input_ids"]),
            "completion_tokens": len(ids),
            "output_token_logprobs": [[value, token, None] for value, token in zip(values, ids)],
            "weight_version": weights.version,
        }
        if request.get("return_hidden_states"):
            meta["hidden_states"] = [hidden]
        answers.append({"text": "", "output_ids": ids, "meta_info": meta})
    return answers[0] if len(answers) == 1 else answers


def vllm(request):
    name = request["model"]
    weights.use("" if name == args.served_model_name else name)
    drawn = draw(request["prompt"], request["n"], request["max_tokens"], request["temperature"],
                 set(request["stop_token_ids"]), request["seed"])
    choices = []
    for i, (ids, values, stopped, _) in enumerate(drawn):
        choices.append({
            "index": i,
            "text": "",
            "prompt_token_ids": request["prompt"],
            "token_ids": ids,
            "logprobs": {"tokens": [f"token_id:{t}" for t in ids], "token_logprobs": values},
            "finish_reason": "stop" if stopped else "length",
        })
    return {"object": "text_completion", "model": name, "choices": choices}


def spoil(answer, call):
    """The faults that an answer of status 200 may have."""
    first = answer["choices"] if isinstance(answer, dict) and "choices" in answer else answer
    first = first if isinstance(first, list) else [first]
    if args.truncate_every and call % args.truncate_every == 0:
        meta = first[0].get("meta_info")
        values = meta["output_token_logprobs"] if meta else first[0]["token_ids"]
        del values[len(values) // 2:]
        if not meta:
            del first[0]["logprobs"]["token_logprobs"][len(values):]
    elif args.drop_every and call % args.drop_every == 0 and len(first) > 1:
        first.pop()
    elif args.version_every and call % args.version_every == 0:
        if "choices" in answer:
            answer["model"] = "another"
        for item in first:
            if "meta_info" in item:
                item["meta_info"]["weight_version"] = "another"
    elif args.malformed_every and call % args.malformed_every == 0:
        return json.dumps(answer)[:-20]
    else:
        return json.dumps(answer)
    counter["faults"] += 1
    return json.dumps(answer)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(200, json.dumps({"calls": counter, "version": weights.version, "adapters": len(weights.adapters)}))

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            with lock:
                if self.path in ("/generate", "/v1/completions"):
                    counter["generate"] += 1
                    call = counter["generate"]
                    if args.fail_every and call % args.fail_every == 0:
                        return self.reply(500, '{"error": "told to fail"}')
                    answer = spoil(sglang(request) if self.path == "/generate" else vllm(request), call)
                elif self.path == "/update_weights_from_disk":
                    weights.use("")
                    weights.model = load(request["model_path"])
                    weights.version = request["weight_version"]
                    answer = '{"success": true, "message": "done"}'
                elif self.path.endswith("/unload_lora_adapter"):
                    weights.unload_adapter(request["lora_name"])
                    answer = '{"success": true}'
                elif self.path.endswith("/load_lora_adapter"):
                    weights.load_adapter(request["lora_name"], request["lora_path"])
                    answer = '{"success": true}'
                else:
                    return self.reply(404, '{"error": "no such path"}')
            if args.slow_every and self.path in ("/generate", "/v1/completions") and call % args.slow_every == 0:
                time.sleep(args.slow_seconds)
            self.reply(200, answer)
        except BrokenPipeError:
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.reply(400, json.dumps({"error": str(error)}))


print(f"serving {args.model} on port {args.port}", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", args.port), Handler).serve_forever()
