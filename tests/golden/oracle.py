"""Logits of a checkpoint folder by transformers' DeepSeek V4 in FP32, which knows neither activation quantisation nor MTP.

Needs transformers 5.23.0. Weights are dequantised here (exact in FP32) and handed over under transformers' own names, because its
loader for quantised checkpoints leaves a mixture of dtypes.

  python3 tests/golden/oracle.py FOLDER TOKENS.json OUT.npy
"""
import json
import pathlib
import sys

import numpy as np
import torch
from transformers import DeepseekV4Config, DeepseekV4ForCausalLM

from reference import dequantise, read_safetensors

TOP = {"embed.weight": "model.embed_tokens.weight", "head.weight": "lm_head.weight", "norm.weight": "model.norm.weight",
       "hc_head_fn": "model.hc_head.hc_fn", "hc_head_base": "model.hc_head.hc_base", "hc_head_scale": "model.hc_head.hc_scale"}
# The longest match first: a prefix of one name is the end of another.
PARTS = [
    ("attn.indexer.compressor.", "self_attn.compressor.indexer."),
    ("attn.indexer.weights_proj.", "self_attn.compressor.indexer.scorer.weights_proj."),
    ("attn.indexer.wq_b.", "self_attn.compressor.indexer.q_b_proj."),
    ("attn.compressor.", "self_attn.compressor."),
    ("attn.attn_sink", "self_attn.sinks"),
    ("attn.wq_a.", "self_attn.q_a_proj."), ("attn.q_norm.", "self_attn.q_a_norm."), ("attn.wq_b.", "self_attn.q_b_proj."),
    ("attn.wkv.", "self_attn.kv_proj."), ("attn.kv_norm.", "self_attn.kv_norm."),
    ("attn.wo_a.", "self_attn.o_a_proj."), ("attn.wo_b.", "self_attn.o_b_proj."),
    ("attn_norm.", "input_layernorm."), ("ffn_norm.", "post_attention_layernorm."),
    ("hc_attn_", "attn_hc."), ("hc_ffn_", "ffn_hc."),
    ("ffn.gate.bias", "mlp.gate.e_score_correction_bias"), ("ffn.gate.", "mlp.gate."),
    ("ffn.shared_experts.w1.", "mlp.shared_experts.gate_proj."), ("ffn.shared_experts.w2.", "mlp.shared_experts.down_proj."),
    ("ffn.shared_experts.w3.", "mlp.shared_experts.up_proj."),
]
ENDS = {"wkv.weight": "kv_proj.weight", "wgate.weight": "gate_proj.weight", "ape": "position_bias", "norm.weight": "kv_norm.weight"}


def their_name(name):
    if name in TOP:
        return TOP[name]
    _, n, rest = name.split(".", 2)
    for ours, theirs in PARTS:
        if rest.startswith(ours):
            end = rest[len(ours):]
            return f"model.layers.{n}.{theirs}{ENDS[end] if ours.endswith('compressor.') else end}"
    raise KeyError(name)


def main():
    folder, tokens_path, out = sys.argv[1:]
    raw = json.loads((pathlib.Path(folder) / "config.json").read_text())
    raw.pop("quantization_config")
    config = DeepseekV4Config(**raw)
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    model = DeepseekV4ForCausalLM(config).float().eval()

    tensors = read_safetensors(folder)
    state, experts = {}, {}
    for name in tensors:
        if name.endswith(".scale") or name.startswith("mtp."):
            continue
        value = dequantise(tensors, name)[0]
        if value.dtype == torch.float64:
            value = value.float()
        if ".experts." in name and "shared" not in name:
            experts[name] = value
        else:
            state[their_name(name)] = value
    for n in range(config.num_hidden_layers):
        ours = [[experts[f"layers.{n}.ffn.experts.{e}.w{i}.weight"] for e in range(config.n_routed_experts)] for i in (1, 2, 3)]
        state[f"model.layers.{n}.mlp.experts.gate_up_proj"] = torch.stack([torch.cat(p) for p in zip(ours[0], ours[2])])
        state[f"model.layers.{n}.mlp.experts.down_proj"] = torch.stack(ours[1])
    buffers = {k for k, _ in model.named_buffers()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= buffers, (missing, unexpected)

    tokens = torch.tensor([json.loads(pathlib.Path(tokens_path).read_text())])
    with torch.no_grad():
        logits = model(input_ids=tokens, use_cache=False).logits[0]
    np.save(out, logits.float().numpy())


if __name__ == "__main__":
    main()
