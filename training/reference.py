"""The exported files alone, run forward with every rounding of the engine's real mode.

Slow and plain on purpose: the text one reads to see what the checkpoint means, and what the C engine
is compared with.  Products are float32; what is rounded, and to what, is said at each place.
"""
import json
import os

import numpy as np
import torch
import torch.nn.functional as F

from . import quant
from .model import Config, rope_table, rotate

BF = torch.bfloat16
E2M1 = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4, -6])
DTYPES = {'BF16': np.uint16, 'F32': np.float32, 'I64': np.int64, 'F8_E4M3': np.uint8, 'F8_E8M0': np.uint8, 'I8': np.uint8}


def bf(x):
    return x.to(BF).float()


def read_safetensors(path):
    raw = np.memmap(path, np.uint8, 'r')
    n = int(raw[:8].view(np.uint64)[0])
    header = json.loads(raw[8:8 + n].tobytes())
    header.pop('__metadata__', None)
    out = {}
    for name, row in header.items():
        a, b = row['data_offsets']
        array = torch.from_numpy(np.frombuffer(raw[8 + n + a:8 + n + b].tobytes(), DTYPES[row['dtype']]).copy())
        out[name] = (row['dtype'], array.reshape(row['shape']))
    return out


def dequantise(stored):
    """{name: float32 or int64 tensor}; `.scale` entries are folded into their weights."""
    out = {}
    for name, (dtype, t) in stored.items():
        if dtype == 'F8_E8M0':
            continue
        if dtype == 'BF16':
            t = t.view(torch.int16).view(BF).float()
        elif dtype in ('F8_E4M3', 'I8'):
            s = (stored[name[:-len('weight')] + 'scale'][1].to(torch.int32) << 23).view(torch.float32)
            if dtype == 'I8':
                t = E2M1[torch.stack((t & 15, t >> 4), -1).flatten(-2).long()]
                t = t * s.repeat_interleave(32, 1)
            else:
                t = t.view(torch.float8_e4m3fn).float() * quant.spread(s, t.shape)
        out[name] = t
    return out


def config_of(folder):
    with open(os.path.join(folder, 'config.json'), encoding='utf-8') as f:
        j = json.load(f)
    y = j['rope_scaling']
    return Config(vocabulary=j['vocab_size'], d=j['hidden_size'], layers=j['num_hidden_layers'],
                  heads=j['num_attention_heads'], head=j['head_dim'], rope=j['qk_rope_head_dim'], q_rank=j['q_lora_rank'],
                  o_rank=j['o_lora_rank'], o_groups=j['o_groups'], window=j['sliding_window'],
                  ratios=tuple(j['compress_ratios']), index_heads=j['index_n_heads'], index_head=j['index_head_dim'],
                  topk=j['index_topk'], experts=j['n_routed_experts'], chosen=j['num_experts_per_tok'],
                  f=j['moe_intermediate_size'], hash_layers=j['num_hash_layers'], route_scale=j['routed_scaling_factor'],
                  limit=j['swiglu_limit'], streams=j['hc_mult'], sinkhorn=j['hc_sinkhorn_iters'], theta=j['rope_theta'],
                  compress_theta=j['compress_rope_theta'], yarn_factor=y['factor'],
                  yarn_length=y['original_max_position_embeddings'], beta_fast=y['beta_fast'], beta_slow=y['beta_slow'],
                  positions=j['max_position_embeddings'])


def rms(x, w=1.0):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w


class Reference:
    def __init__(self, folder):
        self.c = config_of(folder)
        self.w = dequantise(read_safetensors(os.path.join(folder, 'model.safetensors')))

    def linear(self, x, name):
        """An FP8 or FP4 linear: input rounded to FP8 over 128 values, output to BF16."""
        return bf(quant.round_blocks(x, 128) @ self.w[name + '.weight'].t())

    def rope_tail(self, x, table):
        r = self.c.rope
        return torch.cat((x[..., :-r], bf(rotate(x[..., -r:], table[0], table[1]))), -1)

    def round_kv(self, x):
        r = self.c.rope
        return torch.cat((quant.round_blocks(x[..., :-r], 64), x[..., -r:]), -1)

    def hc_read(self, X, p):
        c, S = self.c, self.c.streams
        u = X.flatten(1)
        m = (u @ self.w[p + '_fn'].t()) * torch.rsqrt(u.pow(2).mean(-1, keepdim=True) + 1e-6)
        b, s = self.w[p + '_base'], self.w[p + '_scale']
        pre = torch.sigmoid(s[0] * m[:, :S] + b[:S]) + 1e-6
        post = 2 * torch.sigmoid(s[1] * m[:, S:2 * S] + b[S:2 * S])
        C = (s[2] * m[:, 2 * S:] + b[2 * S:]).view(-1, S, S).softmax(2) + 1e-6
        C = C / (C.sum(1, keepdim=True) + 1e-6)
        for _ in range(c.sinkhorn - 1):
            C = C / (C.sum(2, keepdim=True) + 1e-6)
            C = C / (C.sum(1, keepdim=True) + 1e-6)
        return bf((pre[:, :, None] * X).sum(1)), post, C

    @staticmethod
    def hc_write(X, y, post, C):
        return bf(post[:, :, None] * y[:, None] + torch.einsum('njk,njd->nkd', C, X))

    def compress(self, x, p, ratio, width, table):
        n = x.shape[0] // ratio
        k = (x[:n * ratio] @ self.w[p + '.wkv.weight'].t()).view(n, ratio, -1)
        z = (x[:n * ratio] @ self.w[p + '.wgate.weight'].t()).view(n, ratio, -1) + self.w[p + '.ape']
        if ratio == 4:
            none = torch.full_like(z[:1, :, :width], float('-inf'))
            z = torch.cat((torch.cat((none, z[:-1, :, :width]), 0), z[..., width:]), 1)
            k = torch.cat((torch.cat((torch.zeros_like(none), k[:-1, :, :width]), 0), k[..., width:]), 1)
        o = bf((z.softmax(1) * k).sum(1)) if n else k.new_zeros(0, width)
        o = bf(rms(o, self.w[p + '.norm.weight']))
        return self.rope_tail(o, table[:, :n * ratio:ratio])

    def chosen_entries(self, x, qr, p, table, n):
        """[T, n] bool: the index's choice among the visible entries of a CSA layer."""
        c, T = self.c, x.shape[0]
        visible = torch.arange(n)[None] < ((torch.arange(T) + 1) // 4)[:, None]
        if n <= c.topk:
            return visible
        h = quant.hadamard(c.index_head)
        q = self.linear(qr, p + '.wq_b').view(T, c.index_heads, c.index_head)
        q = quant.round_blocks(bf(self.rope_tail(q, table[:, :, None]) @ h), 32, True)
        k = quant.round_blocks(bf(self.compress(x, p + '.compressor', 4, c.index_head, table) @ h), 32, True)
        w = bf(bf(x @ self.w[p + '.weights_proj.weight'].t()) * (c.index_head ** -0.5 * c.index_heads ** -0.5))
        score = bf((bf(bf(torch.einsum('thd,nd->thn', q, k)).relu() * w[..., None])).sum(1))
        order = score.masked_fill(~visible, float('-inf')).sort(dim=-1, descending=True, stable=True)[1][:, :c.topk]
        return torch.zeros_like(visible).scatter(1, order, True) & visible

    def attention(self, x, p, ratio, tables):
        c, T = self.c, x.shape[0]
        table = tables[1 if ratio else 0]
        qr = bf(rms(self.linear(x, p + 'wq_a'), self.w[p + 'q_norm.weight']))
        q = self.linear(qr, p + 'wq_b').view(T, c.heads, c.head)
        q = bf(q * bf(torch.rsqrt(bf(bf(bf(q * q).mean(-1, keepdim=True)) + 1e-6))))
        q = self.rope_tail(q, table[:, :, None])
        kv = bf(rms(self.linear(x, p + 'wkv'), self.w[p + 'kv_norm.weight']))
        kv = self.round_kv(self.rope_tail(kv, table))
        t = torch.arange(T)
        seen = (t[None] <= t[:, None]) & (t[None] > t[:, None] - c.window)
        if ratio:
            entries = self.round_kv(self.compress(x, p + 'compressor', ratio, c.head, table))
            n = entries.shape[0]
            if ratio == 4:
                more = self.chosen_entries(x, qr, p + 'indexer', table, n)
            else:
                more = torch.arange(n)[None] < ((t + 1) // ratio)[:, None]
            kv, seen = torch.cat((kv, entries)), torch.cat((seen, more), 1)
        sink = self.w[p + 'attn_sink'][None, :, None]
        l = torch.einsum('thd,jd->thj', q, kv) * c.head ** -0.5
        l = l.masked_fill(~seen[:, None], float('-inf'))
        m = torch.maximum(l.amax(-1, keepdim=True), sink)
        e = torch.exp(l - m)
        o = torch.einsum('thj,jd->thd', bf(e), kv) / (e.sum(-1, keepdim=True) + torch.exp(sink - m))
        back = torch.stack((table[0], -table[1]))
        o = self.rope_tail(bf(o), back[:, :, None]).reshape(T, c.o_groups, -1)
        w = bf(self.w[p + 'wo_a.weight']).view(c.o_groups, c.o_rank, -1)
        return self.linear(bf(torch.einsum('tgi,goi->tgo', o, w)).flatten(1), p + 'wo_b')

    def expert(self, x, p, gain=None):
        a = self.linear(x, p + 'w1').clamp(max=self.c.limit)
        m = F.silu(a) * self.linear(x, p + 'w3').clamp(-self.c.limit, self.c.limit)
        return self.linear(bf(m if gain is None else m * gain), p + 'w2')

    def moe(self, x, ids, p):
        c = self.c
        score = F.softplus(x @ self.w[p + 'gate.weight'].t()).sqrt()
        if p + 'gate.tid2eid' in self.w:
            chosen = self.w[p + 'gate.tid2eid'][ids]
        else:
            chosen = (score + self.w[p + 'gate.bias']).sort(dim=-1, descending=True, stable=True)[1][:, :c.chosen]
        g = score.gather(1, chosen)
        g = g / g.sum(-1, keepdim=True) * c.route_scale
        y = torch.zeros_like(x)
        for e in range(c.experts):
            row, slot = (chosen == e).nonzero(as_tuple=True)
            if len(row):
                y[row] += self.expert(x[row], f'{p}experts.{e}.', g[row, slot][:, None])
        return bf(y + self.expert(x, p + 'shared_experts.'))

    def block(self, X, ids, p, ratio, tables):
        x, post, C = self.hc_read(X, p + 'hc_attn')
        X = self.hc_write(X, self.attention(bf(rms(x, self.w[p + 'attn_norm.weight'])), p + 'attn.', ratio, tables), post, C)
        x, post, C = self.hc_read(X, p + 'hc_ffn')
        return self.hc_write(X, self.moe(bf(rms(x, self.w[p + 'ffn_norm.weight'])), ids, p + 'ffn.'), post, C)

    def collapse(self, X, p, norm):
        u = X.flatten(1)
        m = (u @ self.w[p + '_fn'].t()) * torch.rsqrt(u.pow(2).mean(-1, keepdim=True) + 1e-6)
        pre = torch.sigmoid(self.w[p + '_scale'] * m + self.w[p + '_base']) + 1e-6
        return bf(rms(bf((pre[:, :, None] * X).sum(1)), self.w[norm]))

    @torch.no_grad()
    def logits(self, ids, mtp=False):
        """float32 [n, vocabulary]; with mtp also the draft head's, whose row t guesses token t + 2."""
        c, ids = self.c, torch.as_tensor(ids, dtype=torch.long)
        tables = (rope_table(c, False, len(ids)), rope_table(c, True, len(ids)))
        X = self.w['embed.weight'][ids][:, None].expand(-1, c.streams, -1)
        for i in range(c.layers):
            X = self.block(X, ids, f'layers.{i}.', c.ratios[i], tables)
        out = self.collapse(X, 'hc_head', 'norm.weight') @ self.w['head.weight'].t()
        if not mtp:
            return out
        p, X, after = 'mtp.0.', X[:-1], ids[1:]
        e = self.linear(bf(rms(self.w['embed.weight'][after], self.w[p + 'enorm.weight'])), p + 'e_proj')
        h = self.linear(bf(rms(X, self.w[p + 'hnorm.weight'])).flatten(0, 1), p + 'h_proj').view(X.shape)
        X = self.block(bf(h + e[:, None]), after, p, c.ratios[c.layers], (tables[0][:, :-1], tables[1][:, :-1]))
        return out, self.collapse(X, p + 'hc_head', p + 'norm.weight') @ self.w['head.weight'].t()


def run(folder, tokens, goal, mtp=False):
    """`logits MODEL_DIR TOKENS.json OUT.npy`."""
    out = Reference(folder).logits(json.load(open(tokens, encoding='utf-8')), mtp)
    if mtp:
        np.save(goal.removesuffix('.npy') + '.mtp.npy', out[1].numpy())
        out = out[0]
    np.save(goal, out.numpy())
