"""The DeepSeek-V4 architecture at nano size, written to train fast on a few CPU cores.

Residual streams X are [N, S, d] in bfloat16 with N = batch x length.  What made it fast here: bfloat16
products, torch.compile on the element-wise parts only, and expert groups padded to a multiple of 128
rows with a hand-written backward (otherwise the product library prepares a new kernel for every row count).
With quantise on, everything the checkpoint stores in FP8 or FP4, and every activation the engine
rounds, is rounded in the forward pass with straight-through gradients.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

from . import quant
from .roles import NAME, PADDING

BF = torch.bfloat16
NEGATIVE = -1e30
# What heads of a layer are taught to look at, where a row says so.  name: from a function's name and what follows it, all of the name so far;
# seek: from a word of a question about a function, behind the same word in names of functions, all alike, or nowhere; found: from the answer to
# it, the words that are in names, alike; aim: from there, the name that is asked for; question: all words of the question that is being
# answered, alike; copy: the token that the next one is a copy of.
POINTERS = {1: {-1: 'name'}, 2: {-2: 'question', -1: 'seek'}, 3: {-2: 'found', -1: 'question'}, 4: {-1: 'copy'}, 5: {-1: 'aim'}}
BLOCK = 256                  # queries that attend in one product
RARELY = .2                  # weight of what is frequent and says little beside what is rare: a word that stands in no name, the rest of a name


def compiled(f):
    return torch.compile(f, dynamic=False)


@dataclass
class Config:
    vocabulary: int = 6144
    d: int = 256
    layers: int = 6
    heads: int = 4
    head: int = 160
    rope: int = 32
    q_rank: int = 128
    o_rank: int = 128
    o_groups: int = 2
    window: int = 512
    ratios: tuple = (0, 0, 4, 128, 4, 4, 0)
    index_heads: int = 8
    index_head: int = 64
    topk: int = 128
    experts: int = 16
    chosen: int = 4
    f: int = 128
    hash_layers: int = 1
    route_scale: float = 1.5
    limit: float = 10.0
    streams: int = 2
    sinkhorn: int = 20
    theta: float = 1e4
    compress_theta: float = 1.6e5
    yarn_factor: float = 16.0
    yarn_length: int = 65536
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    positions: int = 131072


def rope_frequencies(c, compressed):
    """The pair frequencies of a layer: plain, or blended for layers that compress."""
    i = torch.arange(0, c.rope, 2, dtype=torch.float64) / c.rope
    if not compressed:
        return c.theta ** -i
    w = c.compress_theta ** -i

    def bound(turns):
        return c.rope * math.log(c.yarn_length / (turns * 2 * math.pi)) / (2 * math.log(c.compress_theta))
    low = max(math.floor(bound(c.beta_fast)), 0)
    high = min(math.ceil(bound(c.beta_slow)), c.rope - 1)
    ramp = ((torch.arange(c.rope // 2) - low) / max(high - low, 0.001)).clamp(0, 1)
    return w / c.yarn_factor * ramp + w * (1 - ramp)


def rope_table(c, compressed, length):
    angle = torch.arange(length, dtype=torch.float64)[:, None] * rope_frequencies(c, compressed)[None]
    return torch.stack((angle.cos(), angle.sin()), 0).float().contiguous()      # [2, T, rope / 2]


def rotate(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


# ---- element-wise parts, compiled; `q8` turns the rounding of activations on ----

@compiled
def rms(x, w, q8: bool):
    xf = x.float()
    y = (xf * torch.rsqrt(xf.pow(2).mean(-1, keepdim=True) + 1e-6) * w).to(BF)
    return y, (quant.straight(y.float(), 128).to(BF) if q8 else y)


@compiled
def round_activation(x):
    return quant.straight(x.float(), 128).to(BF)


@compiled
def q_head(q, cs, rope: int):
    xf = q.float()
    xf = xf * torch.rsqrt(xf.pow(2).mean(-1, keepdim=True) + 1e-6)
    return torch.cat((xf[..., :-rope], rotate(xf[..., -rope:], cs[0][None, :, None], cs[1][None, :, None])), -1).to(BF)


@compiled
def kv_head(kv, w, cs, rope: int, q8: bool):
    xf = kv.float()
    xf = xf * torch.rsqrt(xf.pow(2).mean(-1, keepdim=True) + 1e-6) * w
    plain = xf[..., :-rope]
    if q8:
        plain = quant.straight(plain.to(BF).float(), 64)
    return torch.cat((plain, rotate(xf[..., -rope:], cs[0][None], cs[1][None])), -1).to(BF)


@compiled
def unrotate(o, cs, rope: int):
    tail = rotate(o[..., -rope:].float(), cs[0][None, :, None], -cs[1][None, :, None])
    return torch.cat((o[..., :-rope], tail.to(BF)), -1)


@torch.compile(dynamic=True)
def softmax_sink(logits, mask, sink, scale: float):
    """Softmax with one logit a head that has no value: (probabilities, the sink's).  logits [q, heads, keys]."""
    l = logits.float() * scale + mask
    z = sink.float()[:, None]
    m = torch.maximum(l.amax(-1, keepdim=True), z)
    e, s = torch.exp(l - m), torch.exp(z - m)
    total = e.sum(-1, keepdim=True) + s
    return (e / total).to(BF), s / total


@torch.compile(dynamic=True)
def softmax_sink_backward(a, s, da, ds, scale: float):
    """(gradient of the logits, of the sink of every query)."""
    af = a.float()
    t = af * da.float()
    r = t.sum(-1, keepdim=True) + s * ds
    return ((t - af * r) * scale).to(BF), s * (ds - r)


@compiled
def pool4(k, z, ape, w, cs, first, rope: int, q8: bool):
    """CSA entries: first half of the channels serves the next block, second half the own one.  first [B, blocks]
    marks the blocks that begin a dialogue: nothing comes before them."""
    e = k.shape[-1] // 2
    z, k = z.float() + ape, k.float()
    before_k = F.pad(k[:, :-1, :, :e], (0, 0, 0, 0, 1, 0)).masked_fill(first[:, :, None, None], 0.)
    before_z = F.pad(z[:, :-1, :, :e], (0, 0, 0, 0, 1, 0)).masked_fill(first[:, :, None, None], -1e4)
    kk, zz = torch.cat((before_k, k[..., e:]), 2), torch.cat((before_z, z[..., e:]), 2)
    return entry((kk * zz.softmax(2)).sum(2), w, cs, rope, q8)


@compiled
def pool(k, z, ape, w, cs, rope: int, q8: bool):
    return entry((k.float() * (z.float() + ape).softmax(2)).sum(2), w, cs, rope, q8)


def entry(o, w, cs, rope, q8):
    o = o.to(BF).float()
    o = o * torch.rsqrt(o.pow(2).mean(-1, keepdim=True) + 1e-6) * w
    plain = o[..., :-rope]
    if q8:
        plain = quant.straight(plain.to(BF).float(), 64)
    return torch.cat((plain, rotate(o[..., -rope:], cs[0][None], cs[1][None])), -1).to(BF)


@compiled
def index_rounding(x):
    return quant.straight(x.float(), 32, True).to(BF)


@compiled
def index_combine(dots, w):
    """Sum over index heads of relu(dot) x weight.  dots [B, T, heads, entries], w [B, T, heads, 1]."""
    return (dots.float().relu() * w.float()).sum(2)


@compiled
def index_divergence(scores, p, allowed):
    """KL from p to the softmax of scores, per query; both over the allowed entries only."""
    lq = scores.masked_fill(~allowed, NEGATIVE).log_softmax(-1)
    return (p * ((p + 1e-9).log() - lq)).masked_fill(~allowed, 0).sum(-1)


@compiled
def hc_coefficients(X, raw, scale, base, S: int):
    q = torch.rsqrt(X.float().pow(2).mean((1, 2)) + 1e-6)
    m = raw.float() * q[:, None]
    pre = torch.sigmoid(scale[0] * m[:, :S] + base[:S]) + 1e-6
    post = 2 * torch.sigmoid(scale[1] * m[:, S:2 * S] + base[S:2 * S])
    return pre, post, (scale[2] * m[:, 2 * S:] + base[2 * S:]).t().contiguous()


@compiled
def sinkhorn(A, S: int, rounds: int):
    """[S*S, N] logits -> [N, S, S], columns of each matrix summing to one."""
    A = A.view(S, S, -1).softmax(1) + 1e-6
    A = A / (A.sum(0, keepdim=True) + 1e-6)
    for _ in range(rounds - 1):
        A = A / (A.sum(1, keepdim=True) + 1e-6)
        A = A / (A.sum(0, keepdim=True) + 1e-6)
    return A.permute(2, 0, 1).contiguous()


@compiled
def hc_read(X, pre, w, q8: bool):
    x = (pre[:, :, None] * X.float()).sum(1).to(BF).float()
    y = (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w).to(BF)
    return y, (quant.straight(y.float(), 128).to(BF) if q8 else y)


@compiled
def hc_write(X, y, post, C):
    """X'[k] = post_k y + sum_j C[j, k] X[j]."""
    Xf, yf, S = X.float(), y.float(), X.shape[1]
    outs = []
    for k in range(S):
        o = post[:, k:k + 1] * yf
        for j in range(S):
            o = o + C[:, j, k:k + 1] * Xf[:, j]
        outs.append(o)
    return torch.stack(outs, 1).to(BF)


@compiled
def swiglu(h, limit: float, q8: bool):
    a, u = h.float().chunk(2, -1)
    m = (F.silu(a.clamp(max=limit)) * u.clamp(-limit, limit)).to(BF)
    return quant.straight(m.float(), 128).to(BF) if q8 else m


@compiled
def cross_entropy(logits, target):
    l = logits.float()
    m = l.amax(-1, keepdim=True).detach()
    return (l - m).exp().sum(-1).log() + m[:, 0] - l.gather(1, target[:, None])[:, 0]


@torch.compile(dynamic=True)
def expert_forward(h, w, limit: float, q8: bool):
    a, u = h.float().chunk(2, -1)
    m = (F.silu(a.clamp(max=limit)) * u.clamp(-limit, limit) * w[:, None]).to(BF)
    return quant.round_blocks(m.float(), 128).to(BF) if q8 else m


@torch.compile(dynamic=True)
def expert_backward(h, w, dm, limit: float):
    a, u = h.float().chunk(2, -1)
    ac, uc = a.clamp(max=limit), u.clamp(-limit, limit)
    sg = torch.sigmoid(ac)
    si, g = ac * sg, dm.float()
    da = torch.where(a < limit, g * w[:, None] * uc * (sg * (1 + ac * (1 - sg))), 0.)
    du = torch.where(u.abs() < limit, g * w[:, None] * si, 0.)
    return torch.cat((da, du), -1).to(BF), (g * si * uc).sum(-1)


@compiled
def round_fp8(w):
    return quant.round_tiles(w)


@compiled
def round_fp4(w):
    return quant.round_blocks(w, 32, True)


class Rounded(torch.autograd.Function):
    """A weight as the checkpoint will hold it, in bfloat16; the gradient goes to the master copy."""
    @staticmethod
    def forward(ctx, w, four_bit):
        if four_bit:
            return round_fp4(w).to(BF)
        return round_fp8(w).to(BF)

    @staticmethod
    def backward(ctx, g):
        return g.float(), None


def weight(w, q8, four_bit=False):
    if not q8:
        return w.to(BF)
    if four_bit:
        return Rounded.apply(w, True)
    return Rounded.apply(w.flatten(0, -2), False).view(w.shape)


def normal(*shape, gain=1.0):
    return nn.Parameter(torch.randn(*shape) * (gain / math.sqrt(shape[-1])))


class HyperConnection(nn.Module):
    """Reads one input from the streams and writes one output back.  fn, base, scale as the checkpoint."""

    def __init__(self, c, index, head=False):
        super().__init__()
        S = c.streams
        n = S if head else (2 + S) * S
        self.c = c
        self.fn = nn.Parameter(torch.randn(n, S * c.d) * 0.02)
        base = torch.zeros(n)
        if not head:
            base[:S] = -1.5
            base[index % S] = 1.5
            base[2 * S:].view(S, S).copy_(4 * torch.eye(S))
        self.base = nn.Parameter(base)
        self.scale = nn.Parameter(torch.full((1 if head else 3,), 0.1))

    def read(self, X, norm, q8):
        c = self.c
        pre, post, A = hc_coefficients(X, F.linear(X.flatten(1).float(), self.fn), self.scale, self.base, c.streams)
        x, xq = hc_read(X, pre, norm, q8)
        return x, xq, post, sinkhorn(A, c.streams, c.sinkhorn)

    def collapse(self, X, norm):
        q = torch.rsqrt(X.float().pow(2).mean((1, 2)) + 1e-6)
        p = torch.sigmoid(self.scale * F.linear(X.flatten(1).float(), self.fn) * q[:, None] + self.base) + 1e-6
        return hc_read(X, p, norm, False)[0]


class Compressor(nn.Module):
    def __init__(self, c, ratio, width):
        super().__init__()
        m = 2 if ratio == 4 else 1
        self.ratio, self.rope = ratio, c.rope
        self.wkv, self.wgate = normal(m * width, c.d), normal(m * width, c.d, gain=0.3)
        self.ape = nn.Parameter(torch.zeros(ratio, m * width))
        self.norm = nn.Parameter(torch.ones(width))

    def forward(self, x, B, T, cs, first, q8):
        n, r = T // self.ratio, self.ratio

        def blocks(w):
            return F.linear(x, w.to(BF)).view(B, T, -1)[:, :n * r].reshape(B, n, r, -1)
        k, z, cs = blocks(self.wkv), blocks(self.wgate), cs[:, :n * r:r].contiguous()
        if r == 4:
            return pool4(k, z, self.ape, self.norm, cs, first, self.rope, q8)
        return pool(k, z, self.ape, self.norm, cs, self.rope, q8)


class BlockAttention(torch.autograd.Function):
    """Attention of shared keys and values over the blocks of a plan (`Nano.plan`), which leaves out what is masked whole.

    q [B, T, heads, head], kv [B, T, head], ck [B, entries, head] or None, sink [heads]; chosen: additive [B, T, entries] or None;
    goals: for every head that points, {head: for every block (keys that it should look at [q, keys + 1], the last for the sink, weight of
    each query [q], whether at each of them) or None}.
    -> (out like q, the heads' mean probability of every entry [B, T, entries] if `report`, for every head that points the
    weighted sum of -log of what it gives to its goals, together or each)."""

    @staticmethod
    def keys(kv, ck, block):
        b, q0, q1, k0, e0, e1, mask = block
        n = mask.shape[-1] - (q1 - k0) - (e1 - e0)
        parts = [kv[b, k0:q1]]
        if e1 > e0:
            parts.append(ck[b, e0:e1])
        if n:
            parts.append(kv.new_zeros(n, kv.shape[-1]))
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    @staticmethod
    def forward(ctx, q, kv, ck, sink, blocks, chosen, report, goals):
        H, D = q.shape[2:]
        out, kept, scale = torch.zeros_like(q), [], D ** -0.5
        p = torch.zeros(q.shape[0], q.shape[1], ck.shape[1]) if report else None
        missed = torch.zeros(len(goals))
        for i, block in enumerate(blocks):
            b, q0, q1, k0, e0, e1, mask = block
            n = q1 - k0
            if chosen is not None and e1 > e0:
                mask = mask.clone()
                mask[:, 0, n:n + e1 - e0] += chosen[b, q0:q1, e0:e1]
            K = BlockAttention.keys(kv, ck, block)
            logits = torch.mm(q[b, q0:q1].reshape(-1, D), K.t())
            a, s = softmax_sink(logits.view(q1 - q0, H, -1), mask, sink, scale)
            torch.mm(a.view((q1 - q0) * H, -1), K, out=out[b, q0:q1].view(-1, D))
            if report:
                p[b, q0:q1, e0:e1] = a[..., n:n + e1 - e0].float().mean(1)
            hits = []
            for k, (head, of_blocks) in enumerate(goals.items()):
                if of_blocks[i]:
                    look, weighs, each = of_blocks[i]
                    hit = torch.cat((a[:, head].float(), s[:, head]), -1)
                    hit = (hit if each else (hit * look).sum(-1, keepdim=True)).clamp(min=1e-20)
                    missed[k] -= (hit.log() * (look if each else 1) * weighs[:, None]).sum()
                    hits.append((k, head, look * weighs[:, None] / hit))
            kept.append((a, s, hits))
        ctx.save_for_backward(q, kv, ck, sink)
        ctx.blocks, ctx.kept, ctx.scale = blocks, kept, scale
        if report:
            ctx.mark_non_differentiable(p)
        return out, p, missed

    @staticmethod
    def backward(ctx, g, _, gm):
        q, kv, ck, sink = ctx.saved_tensors
        H, D = q.shape[2:]
        dq, dkv = torch.zeros_like(q), torch.zeros(kv.shape)
        dck = None if ck is None else torch.zeros(ck.shape)
        dsink = torch.zeros(H)
        for block, (a, s, hits) in zip(ctx.blocks, ctx.kept):
            b, q0, q1, k0, e0, e1, _ = block
            K, n = BlockAttention.keys(kv, ck, block), q1 - k0
            go, qb = g[b, q0:q1].reshape(-1, D), q[b, q0:q1].view(-1, D)
            da, ds = torch.mm(go, K.t()).view_as(a), torch.zeros_like(s)
            for k, head, pull in hits:
                da[:, head] -= gm[k] * pull[:, :-1]
                ds[:, head] -= gm[k] * pull[:, -1:]
            dl, ds = softmax_sink_backward(a, s, da, ds, ctx.scale)
            dsink += ds.sum((0, 2))
            dl, a = dl.view(len(go), -1), a.view(len(go), -1)
            torch.mm(dl, K, out=dq[b, q0:q1].view(-1, D))
            dK = torch.mm(dl.t(), qb) + torch.mm(a.t(), go)
            dkv[b, k0:q1] += dK[:n]
            if e1 > e0:
                dck[b, e0:e1] += dK[n:n + e1 - e0]
        return dq, dkv.to(BF), None if ck is None else dck.to(BF), dsink, None, None, None, None


class Attention(nn.Module):
    def __init__(self, c, layer):
        super().__init__()
        self.c, self.ratio, self.points = c, c.ratios[layer], POINTERS.get(layer, {})
        ratio = self.ratio
        self.wq_a, self.wq_b, self.wkv = normal(c.q_rank, c.d), normal(c.heads * c.head, c.q_rank), normal(c.head, c.d)
        self.q_norm, self.kv_norm = nn.Parameter(torch.ones(c.q_rank)), nn.Parameter(torch.ones(c.head))
        self.sink = nn.Parameter(torch.zeros(c.heads))
        self.wo_a = normal(c.o_groups, c.o_rank, c.heads * c.head // c.o_groups)
        self.wo_b = normal(c.d, c.o_groups * c.o_rank, gain=0.5)
        if ratio:
            self.compressor = Compressor(c, ratio, c.head)
        if ratio == 4:
            self.index_wq_b = normal(c.index_heads * c.index_head, c.q_rank)
            self.index_weights = normal(c.index_heads, c.d)
            self.index_compressor = Compressor(c, ratio, c.index_head)
            self.register_buffer('rotation', quant.hadamard(c.index_head), persistent=False)
        self.index_loss = self.point_losses = None

    def index_scores(self, x, qr, B, T, cs, first, q8):
        """[B, T, entries]; both sides rotated by Hadamard, then rounded to FP4 when q8."""
        c = self.c
        q = F.linear(qr, weight(self.index_wq_b, q8)).view(B, T, c.index_heads, c.index_head).float()
        q = torch.cat((q[..., :-c.rope], rotate(q[..., -c.rope:], cs[0][None, :, None], cs[1][None, :, None])), -1)
        k = self.index_compressor(x, B, T, cs, first, False)
        h = self.rotation.to(BF)
        q, k = q.to(BF) @ h, k @ h
        if q8:
            q, k = index_rounding(q), index_rounding(k)
        w = F.linear(x, self.index_weights.to(BF)).view(B, T, c.index_heads, 1)
        w = w * (c.index_head ** -0.5 * c.index_heads ** -0.5)
        dots = torch.matmul(q.reshape(B, T * c.index_heads, c.index_head), k.transpose(1, 2))
        return index_combine(dots.view(B, T, c.index_heads, -1), w)

    def forward(self, x, xq, B, T, plan, mode):
        c, q8, rope = self.c, mode['quantise'], self.c.rope
        cs = plan.tables[1 if self.ratio else 0]
        qr, qrq = rms(F.linear(xq, weight(self.wq_a, q8)), self.q_norm, q8)
        q = q_head(F.linear(qrq, weight(self.wq_b, q8)).view(B, T, c.heads, c.head), cs, rope)
        kv = kv_head(F.linear(xq, weight(self.wkv, q8)).view(B, T, c.head), self.kv_norm, cs, rope, q8)
        ck = chosen = scores = allowed = None
        if self.ratio:
            ck = self.compressor(x, B, T, cs, plan.first4, q8)
        if self.ratio == 4 and ck.shape[1] > c.topk and (mode['teach_index'] or mode['sparse']):
            allowed = plan.visible4
            scores = self.index_scores(x.detach(), qrq.detach(), B, T, cs, plan.first4, q8)
            if mode['sparse']:
                masked = scores.detach().masked_fill(~allowed, NEGATIVE)
                allowed = allowed & (masked >= masked.topk(c.topk, -1)[0][..., -1:])
                chosen = torch.where(allowed, 0., NEGATIVE)
        goals = {head: plan.goals[what, self.ratio] for head, what in self.points.items()} if plan.goals else {}
        o, p, self.point_losses = BlockAttention.apply(q.contiguous(), kv, ck, self.sink, plan.blocks[self.ratio], chosen,
                                                       scores is not None and mode['teach_index'], goals)
        if p is not None:
            # KL from the heads' mean attention over compressed entries to the indexer's softmax
            p = p / (p.sum(-1, keepdim=True) + 1e-9)
            self.index_loss = index_divergence(scores, p, allowed.expand_as(p))[:, c.window:].mean()
        o = unrotate(o, cs, rope).view(B * T, c.o_groups, -1)
        wo = weight(self.wo_a, q8)
        v = torch.cat([F.linear(o[:, i], wo[i]) for i in range(c.o_groups)], -1)
        return F.linear(round_activation(v) if q8 else v, weight(self.wo_b, q8))


class Experts(torch.autograd.Function):
    """Routed experts.  x [N, d], w [N, k] routing weights, chosen [N, k]; rows sorted by expert, each
    group padded to PAD rows.  Padding rows have weight 0 and so contribute nothing either way."""
    PAD = 128

    @staticmethod
    def forward(ctx, x, w, w13, w2, chosen, limit, q8):
        E, d, f = w2.shape
        N, k = chosen.shape
        flat = chosen.reshape(-1)
        order = flat.argsort(stable=True)
        count = torch.bincount(flat, minlength=E)
        padded = (count + Experts.PAD - 1) // Experts.PAD * Experts.PAD
        groups = padded.tolist()
        M = sum(groups)
        position = torch.arange(N * k) - (count.cumsum(0) - count)[flat[order]] + (padded.cumsum(0) - padded)[flat[order]]
        slot = torch.empty_like(order)
        slot[order] = position
        token = torch.zeros(M, dtype=torch.long)
        token[position] = order // k
        weights = torch.zeros(M)
        weights[position] = w.detach().reshape(-1)[order]
        xs = x[token]
        h = torch.empty(M, 2 * f, dtype=BF)
        p = 0
        for e, n in enumerate(groups):
            if n:
                torch.mm(xs[p:p + n], w13[e].t(), out=h[p:p + n])
            p += n
        m = expert_forward(h, weights, limit, q8)
        y = torch.empty(M, d, dtype=BF)
        p = 0
        for e, n in enumerate(groups):
            if n:
                torch.mm(m[p:p + n], w2[e].t(), out=y[p:p + n])
            p += n
        ctx.save_for_backward(xs, weights, w13, w2, h, m, token, slot)
        ctx.groups, ctx.limit, ctx.nk = groups, limit, (N, k)
        return y[slot].view(N, k, d).sum(1)

    @staticmethod
    def backward(ctx, g):
        xs, weights, w13, w2, h, m, token, slot = ctx.saved_tensors
        N, k = ctx.nk
        gs = g.contiguous()[token]
        dm, dw2 = torch.empty_like(m), torch.zeros_like(w2)
        p = 0
        for e, n in enumerate(ctx.groups):
            if n:
                torch.mm(gs[p:p + n], w2[e], out=dm[p:p + n])
                torch.mm(gs[p:p + n].t(), m[p:p + n], out=dw2[e])
            p += n
        dh, dw = expert_backward(h, weights, dm, ctx.limit)
        dx, dw13 = torch.empty_like(xs), torch.zeros_like(w13)
        p = 0
        for e, n in enumerate(ctx.groups):
            if n:
                torch.mm(dh[p:p + n], w13[e], out=dx[p:p + n])
                torch.mm(dh[p:p + n].t(), xs[p:p + n], out=dw13[e])
            p += n
        return dx[slot].view(N, k, -1).sum(1), dw[slot].view(N, k), dw13, dw2, None, None, None


class MoE(nn.Module):
    """w13 and s13 hold gate and up as [.., 2, f, d]: two matrices to the optimiser, one product here."""

    def __init__(self, c, layer):
        super().__init__()
        self.c, self.hashed = c, layer < c.hash_layers
        self.gate = normal(c.experts, c.d)
        if self.hashed:
            g = torch.Generator().manual_seed(layer)
            self.register_buffer('tid2eid', torch.rand(c.vocabulary, c.experts, generator=g).topk(c.chosen, -1)[1])
        else:
            self.register_buffer('bias', torch.zeros(c.experts))
        self.w13, self.w2 = normal(c.experts, 2, c.f, c.d), normal(c.experts, c.d, c.f, gain=0.4)
        self.s13, self.s2 = normal(2, c.f, c.d), normal(c.d, c.f, gain=0.4)
        self.load = None

    def forward(self, x, xq, ids, mode):
        c, q8 = self.c, mode['quantise']
        score = F.softplus(F.linear(x.float(), self.gate.to(BF).float())).sqrt()
        chosen = self.tid2eid[ids] if self.hashed else (score.detach() + self.bias).topk(c.chosen, -1)[1]
        w = score.gather(1, chosen)
        w = w / w.sum(-1, keepdim=True) * c.route_scale
        if not self.hashed and self.training:
            self.load = torch.bincount(chosen.reshape(-1), minlength=c.experts).float()
            self.bias += 2e-3 * torch.sign(self.load.mean() - self.load)
        y = Experts.apply(xq, w, weight(self.w13, q8, True).flatten(1, 2), weight(self.w2, q8, True), chosen, c.limit, q8)
        h = F.linear(xq, weight(self.s13, q8).flatten(0, 1))
        return y + F.linear(swiglu(h, c.limit, q8), weight(self.s2, q8))


class Block(nn.Module):
    def __init__(self, c, layer):
        super().__init__()
        self.attn, self.ffn = Attention(c, layer), MoE(c, layer)
        self.hc_attn, self.hc_ffn = HyperConnection(c, 2 * layer), HyperConnection(c, 2 * layer + 1)
        self.attn_norm, self.ffn_norm = nn.Parameter(torch.ones(c.d)), nn.Parameter(torch.ones(c.d))

    def forward(self, X, ids, B, T, plan, mode):
        q8 = mode['quantise']
        x, xq, post, C = self.hc_attn.read(X, self.attn_norm, q8)
        X = hc_write(X, self.attn(x, xq, B, T, plan, mode), post, C)
        x, xq, post, C = self.hc_ffn.read(X, self.ffn_norm, q8)
        return hc_write(X, self.ffn(x, xq, ids, mode), post, C)


class Mtp(nn.Module):
    """Predicts the token after the next one from the streams and the next token."""

    def __init__(self, c):
        super().__init__()
        self.enorm, self.hnorm, self.norm = (nn.Parameter(torch.ones(c.d)) for _ in range(3))
        self.e_proj, self.h_proj = normal(c.d, c.d), normal(c.d, c.d)
        self.block = Block(c, c.layers)
        self.hc_head = HyperConnection(c, 0, True)


@dataclass
class Plan:
    """What all layers of one pass share (`Nano.plan`)."""
    tables: tuple                # rope of plain and of compressing layers
    blocks: dict
    first4: torch.Tensor         # [B, entries]: the entry begins a dialogue
    visible4: torch.Tensor       # [B, T, entries]: may the token see it
    goals: dict                  # {(what is pointed at, ratio): for every block what BlockAttention wants}


MODE = {'quantise': False, 'sparse': False, 'teach_index': False, 'mtp': False}


def goals(blocks, what, ratio, marks):
    """The goals of one head of BlockAttention for blocks of one ratio; the weights of all queries sum to one."""
    out, total = [], 0.
    span, source, question = (marks[k] for k in ('span', 'source', 'question'))
    named = F.pad(span, (1, 0))[:, :-1]                       # of the token before
    for b, q0, q1, k0, e0, e1, mask in blocks:
        def either(own, wanted, far=True):
            """Where a raw key [T] is what a query [q] wants or, if far, one of an entry's own tokens."""
            hits = wanted[:, None] == own[k0:q1]
            if e1 > e0:
                entries = own[e0 * ratio:e1 * ratio].view(-1, ratio)
                hits = torch.cat((hits, (wanted[:, None, None] == entries).any(-1) & far), 1)
            return hits & (wanted > 0)[:, None]
        nowhere = None
        if what == 'copy':
            look = either(torch.arange(1, span.shape[1] + 1), source[b, q0:q1] + 1)
        elif what == 'name':
            wanted = torch.where(span[b] > NAME, span[b], named[b])[q0:q1]
            look = either(span[b], wanted * (wanted > NAME))
        elif what == 'seek':
            word = marks['word'][b]
            look = either(torch.where(named[b] > NAME, F.pad(marks['kind'][b], (1, 0))[:-1], 0), word[q0:q1])
            nowhere = (word[q0:q1] != 0) & ~(look & (mask[:, 0, :look.shape[1]] == 0)).any(-1)
        elif what == 'aim':
            wanted = marks['aim'][b, q0:q1]
            look = either(span[b] - NAME, wanted)
        elif what == 'found':
            look = either(marks['found'][b], -question[b, q0:q1] * (marks['aim'][b, q0:q1] > 0), far=False)
        else:
            look = either(question[b], -question[b, q0:q1], far=False)
        look = F.pad(look, (0, mask.shape[-1] - look.shape[1])) & (mask[:, 0] == 0)
        look = torch.cat((look, torch.zeros(len(look), 1, dtype=torch.bool) if nowhere is None else nowhere[:, None]), 1)
        weighs, each = look[:, :-1].any(-1) + RARELY * look[:, -1], what in ('question', 'seek', 'found')
        if what in ('found', 'aim'):                          # once a part of the name is said the rest is easy
            aims = F.pad(marks['aim'][b], (2, 0))
            weighs = weighs * torch.where((aims[2:] == aims[1:-1]) & (aims[2:] == aims[:-2]), RARELY, 1.)[q0:q1]
        look = look / look.sum(-1, keepdim=True).clamp(min=1) if each else look.float()
        out.append((look, weighs) if weighs.any() else None)
        total += weighs.sum()
    return [o and (o[0], o[1] / total, each) for o in out]


class Nano(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed = nn.Parameter(torch.randn(c.vocabulary, c.d) * 0.3)
        self.blocks = nn.ModuleList(Block(c, i) for i in range(c.layers))
        self.hc_head, self.norm = HyperConnection(c, 0, True), nn.Parameter(torch.ones(c.d))
        self.head = normal(c.vocabulary, c.d, gain=0.5)
        self.mtp = Mtp(c)
        self._masks, self._tables = {}, {}

    def block_mask(self, ratio, q, near, start, far):
        """Additive [q, 1, keys]: what the last q of `near` raw keys, the first of which has place `start` in its dialogue, see of those
        and of `far` entries of `ratio` tokens; filled up with keys that nothing sees."""
        key = ratio, q, near, start if far else 0, far
        if key not in self._masks:
            i, j = torch.arange(near - q, near)[:, None], torch.arange(near)[None]
            seen = [(j <= i) & (j > i - self.c.window)]
            if far:
                seen.append(torch.arange(far)[None] < (start + i + 1) // ratio)
            fill = -(near + far) % 32
            seen.append(torch.zeros(q, fill, dtype=torch.bool))
            self._masks[key] = torch.where(torch.cat(seen, 1), 0., NEGATIVE)[:, None]
        return self._masks[key]

    def plan(self, segments, marks=None):
        """What attends to what.  segments [B, T] numbers the dialogues of a row, each of which begins at a multiple of 128; no token sees
        another dialogue, raw or compressed.  Padding, 255, sees nothing.  blocks: {ratio: [(row, first query, end, first raw key, first
        entry, end, mask)]}; marks: as `train.Rows.take` says."""
        B, T = segments.shape
        if T not in self._tables:
            self._tables[T] = rope_table(self.c, False, T), rope_table(self.c, True, T)
        plan = Plan(self._tables[T], {r: [] for r in (0, *self.c.ratios)}, None, None, {})
        for b in range(B):
            cuts = [0] + (torch.nonzero(segments[b, 1:] != segments[b, :-1])[:, 0] + 1).tolist() + [T]
            for s, end in zip(cuts, cuts[1:]):
                if segments[b, s] == PADDING:
                    continue
                for q0 in range(s, end, BLOCK):
                    q1 = min(q0 + BLOCK, end)
                    k0 = max(s, (q0 - self.c.window + 1) // 32 * 32)
                    for r, blocks in plan.blocks.items():
                        e0, e1 = (s // r, q1 // r) if r else (0, 0)
                        blocks.append((b, q0, q1, k0, e0, e1, self.block_mask(r, q1 - q0, q1 - k0, k0 - s, e1 - e0)))
        if 4 in self.c.ratios:
            starts, t = segments[:, :T // 4 * 4:4], torch.arange(T)
            plan.first4 = F.pad(starts[:, 1:] != starts[:, :-1], (1, 0), value=True)
            plan.visible4 = (torch.arange(T // 4)[None] < ((t + 1) // 4)[:, None]) & (segments[..., None] == starts[:, None])
        if marks:
            for attn in (b.attn for b in self.blocks):
                for what in attn.points.values():
                    if (what, attn.ratio) not in plan.goals:
                        plan.goals[what, attn.ratio] = goals(plan.blocks[attn.ratio], what, attn.ratio, marks)
        return plan

    def forward(self, ids, mode=MODE, segments=None, marks=None):
        """ids [B, T] -> the normed state before the head [B*T, d]; with mtp, a second one.  segments, marks: as `plan` says, one dialogue a
        row if None."""
        c = self.c
        B, T = ids.shape
        plan = self.plan(torch.zeros_like(ids) if segments is None else segments, marks)
        flat = ids.reshape(-1)
        X = F.embedding(flat, self.embed).to(BF)[:, None].expand(-1, c.streams, -1).contiguous()
        for block in self.blocks:
            X = block(X, flat, B, T, plan, mode)
        h = self.hc_head.collapse(X, self.norm)
        if not mode['mtp']:
            return h
        m, q8 = self.mtp, mode['quantise']
        after = torch.roll(ids, -1, 1).reshape(-1)
        e = rms(F.embedding(after, self.embed).to(BF), m.enorm, q8)[1]
        x = rms(X.detach(), m.hnorm, q8)[1]
        X = (F.linear(x, weight(m.h_proj, q8)) + F.linear(e, weight(m.e_proj, q8))[:, None]).contiguous()
        X = m.block(X, after, B, T, plan, dict(mode, sparse=False, teach_index=False))
        return h, m.hc_head.collapse(X, m.norm)

    def index_losses(self):
        return [b.attn.index_loss for b in self.blocks if b.attn.index_loss is not None]

    def point_losses(self):
        return {f'{what}{i}': loss for i, b in enumerate(self.blocks) if len(b.attn.point_losses)
                for what, loss in zip(b.attn.points.values(), b.attn.point_losses)}

    def logits(self, h):
        return F.linear(h, self.head.to(BF))


def count(model):
    """(all parameters, those a token uses, without the embedding)."""
    c, total = model.c, sum(p.numel() for p in model.parameters())
    routed = sum(b.ffn.w13.numel() + b.ffn.w2.numel() for b in model.blocks)
    mtp = sum(p.numel() for p in model.mtp.parameters())
    return total, total - mtp - model.embed.numel() - routed + routed * c.chosen // c.experts
