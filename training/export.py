"""Writes a checkpoint in the official layout: names, dtypes and shapes of the published models, scaled.

FP8 (E4M3 with E8M0 scales over 128 x 128) for the linears, FP4 (two E2M1 values a byte, E8M0 scale every 32
inputs) for routed experts, BF16, F32 and I64 for the rest.  config.json carries the published keys.
"""
import json
import os
import shutil

import numpy as np
import torch

from . import dialect, quant
from .model import Config, Nano

E2M1_CODES = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6])


def config_json(c):
    return {
        'architectures': ['DeepseekV4ForCausalLM'], 'model_type': 'deepseek_v4', 'torch_dtype': 'bfloat16',
        'vocab_size': c.vocabulary, 'hidden_size': c.d, 'num_hidden_layers': c.layers,
        'num_attention_heads': c.heads, 'num_key_value_heads': 1, 'head_dim': c.head, 'qk_rope_head_dim': c.rope,
        'q_lora_rank': c.q_rank, 'o_lora_rank': c.o_rank, 'o_groups': c.o_groups, 'sliding_window': c.window,
        'compress_ratios': list(c.ratios), 'compress_rope_theta': c.compress_theta, 'rope_theta': c.theta,
        'rope_scaling': {'type': 'yarn', 'factor': c.yarn_factor, 'original_max_position_embeddings': c.yarn_length,
                         'beta_fast': c.beta_fast, 'beta_slow': c.beta_slow},
        'max_position_embeddings': c.positions, 'index_n_heads': c.index_heads, 'index_head_dim': c.index_head,
        'index_topk': c.topk, 'n_routed_experts': c.experts, 'n_shared_experts': 1, 'num_experts_per_tok': c.chosen,
        'moe_intermediate_size': c.f, 'num_hash_layers': c.hash_layers, 'scoring_func': 'sqrtsoftplus',
        'topk_method': 'noaux_tc', 'norm_topk_prob': True, 'routed_scaling_factor': c.route_scale,
        'swiglu_limit': c.limit, 'hidden_act': 'silu', 'hc_mult': c.streams, 'hc_sinkhorn_iters': c.sinkhorn,
        'hc_eps': 1e-6, 'rms_norm_eps': 1e-6, 'num_nextn_predict_layers': 1, 'tie_word_embeddings': False,
        'attention_bias': False, 'attention_dropout': 0.0, 'initializer_range': 0.02, 'bos_token_id': 0,
        'eos_token_id': 1, 'expert_dtype': 'fp4', 'use_cache': True,
        'quantization_config': {'quant_method': 'fp8', 'fmt': 'e4m3', 'activation_scheme': 'dynamic',
                                'scale_fmt': 'ue8m0', 'weight_block_size': [128, 128]},
    }


def exponents(scales):
    """Powers of two as E8M0 bytes."""
    return ((scales.contiguous().view(torch.int32) >> 23) & 255).to(torch.uint8)


class Tensors:
    """Collects (name, dtype, shape, bytes) in the order they are written."""

    def __init__(self):
        self.rows = []

    def add(self, name, dtype, shape, array):
        self.rows.append((name, dtype, list(shape), array.tobytes()))

    def bf16(self, name, t):
        self.add(name, 'BF16', t.shape, t.to(torch.bfloat16).contiguous().view(torch.int16).numpy())

    def f32(self, name, t):
        self.add(name, 'F32', t.shape, t.float().contiguous().numpy())

    def i64(self, name, t):
        self.add(name, 'I64', t.shape, t.long().contiguous().numpy())

    def fp8(self, name, w):
        s = quant.tile_scales(w.float().contiguous())
        q = quant.e4m3(w.float() / quant.spread(s, w.shape)).to(torch.float8_e4m3fn)
        self.add(name + '.weight', 'F8_E4M3', w.shape, q.view(torch.uint8).numpy())
        self.add(name + '.scale', 'F8_E8M0', s.shape, exponents(s).numpy())

    def fp4(self, name, w):
        groups = w.float().contiguous().unflatten(1, (-1, 32))
        amax = groups.abs().amax(-1, keepdim=True).clamp(min=quant.E2M1_MAX * 2.0 ** -120)
        s = quant.scale_of(amax, quant.E2M1_MAX)
        q = quant.e2m1((groups / s).clamp(-6, 6)).flatten(1)
        code = torch.searchsorted(E2M1_CODES, q.abs().contiguous()) + 8 * torch.signbit(q)
        packed = (code[:, 0::2] | code[:, 1::2] << 4).to(torch.uint8)
        self.add(name + '.weight', 'I8', packed.shape, packed.numpy())
        self.add(name + '.scale', 'F8_E8M0', s.squeeze(-1).shape, exponents(s.squeeze(-1)).numpy())

    def write(self, path):
        header, at = {}, 0
        for name, dtype, shape, raw in self.rows:
            header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [at, at + len(raw)]}
            at += len(raw)
        text = json.dumps(header, separators=(',', ':')).encode()
        text += b' ' * (-len(text) % 8)
        with open(path, 'wb') as f:
            f.write(np.uint64(len(text)).tobytes() + text)
            for row in self.rows:
                f.write(row[3])


def compressor(out, name, m):
    out.bf16(name + '.wkv.weight', m.wkv)
    out.bf16(name + '.wgate.weight', m.wgate)
    out.f32(name + '.ape', m.ape)
    out.bf16(name + '.norm.weight', m.norm)


def hyper(out, name, m):
    out.f32(name + '_fn', m.fn)
    out.f32(name + '_base', m.base)
    out.f32(name + '_scale', m.scale)


def block(out, p, b):
    out.bf16(p + 'attn_norm.weight', b.attn_norm)
    out.bf16(p + 'ffn_norm.weight', b.ffn_norm)
    hyper(out, p + 'hc_attn', b.hc_attn)
    hyper(out, p + 'hc_ffn', b.hc_ffn)
    a, f = b.attn, b.ffn
    out.f32(p + 'attn.attn_sink', a.sink)
    for name in ('wq_a', 'wq_b', 'wkv', 'wo_b'):
        out.fp8(p + 'attn.' + name, getattr(a, name))
    out.fp8(p + 'attn.wo_a', a.wo_a.flatten(0, 1))
    out.bf16(p + 'attn.q_norm.weight', a.q_norm)
    out.bf16(p + 'attn.kv_norm.weight', a.kv_norm)
    if a.ratio:
        compressor(out, p + 'attn.compressor', a.compressor)
    if a.ratio == 4:
        out.fp8(p + 'attn.indexer.wq_b', a.index_wq_b)
        out.bf16(p + 'attn.indexer.weights_proj.weight', a.index_weights)
        compressor(out, p + 'attn.indexer.compressor', a.index_compressor)
    out.bf16(p + 'ffn.gate.weight', f.gate)
    if f.hashed:
        out.i64(p + 'ffn.gate.tid2eid', f.tid2eid)
    else:
        out.f32(p + 'ffn.gate.bias', f.bias)
    for e in range(f.w2.shape[0]):
        out.fp4(f'{p}ffn.experts.{e}.w1', f.w13[e, 0])
        out.fp4(f'{p}ffn.experts.{e}.w3', f.w13[e, 1])
        out.fp4(f'{p}ffn.experts.{e}.w2', f.w2[e])
    out.fp8(p + 'ffn.shared_experts.w1', f.s13[0])
    out.fp8(p + 'ffn.shared_experts.w3', f.s13[1])
    out.fp8(p + 'ffn.shared_experts.w2', f.s2)


@torch.no_grad()
def tensors(model):
    out = Tensors()
    out.bf16('embed.weight', model.embed)
    out.bf16('head.weight', model.head)
    out.bf16('norm.weight', model.norm)
    hyper(out, 'hc_head', model.hc_head)
    for i, b in enumerate(model.blocks):
        block(out, f'layers.{i}.', b)
    m = model.mtp
    block(out, 'mtp.0.', m.block)
    for name in ('enorm', 'hnorm', 'norm'):
        out.bf16(f'mtp.0.{name}.weight', getattr(m, name))
    out.fp8('mtp.0.e_proj', m.e_proj)
    out.fp8('mtp.0.h_proj', m.h_proj)
    hyper(out, 'mtp.0.hc_head', m.hc_head)
    return out


def export(model, token_file, goal, extra=()):
    """Writes a complete model folder at goal; an existing one is replaced only when the new one is whole."""
    part = goal.rstrip('/') + '.part'
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    with open(os.path.join(part, 'config.json'), 'w', encoding='utf-8') as f:
        json.dump(config_json(model.c), f, indent=2)
        f.write('\n')
    tensors(model).write(os.path.join(part, 'model.safetensors'))
    shutil.copyfile(token_file, os.path.join(part, 'tokenizer.json'))
    for name in ('deepread.json', 'dialect.json', *extra):
        shutil.copyfile(os.path.join(dialect.PROFILE, name), os.path.join(part, name))
    os.makedirs(goal, exist_ok=True)
    for name in os.listdir(part):
        os.replace(os.path.join(part, name), os.path.join(goal, name))
    os.rmdir(part)


def load(path):
    """A training checkpoint as a model in evaluation mode: the average of its weights over the last steps."""
    old = torch.load(path, map_location='cpu')
    model = Nano(Config(**old['config']))
    model.load_state_dict(old['model'])
    with torch.no_grad():
        for p, mean in zip(model.parameters(), old['average']):
            p.copy_(mean)
    return model.eval()


def run(work, goal, checkpoint=None):
    """Stage `export`."""
    export(load(checkpoint or os.path.join(work, 'checkpoint.pt')), os.path.join(work, 'model', 'tokenizer.json'), goal)
