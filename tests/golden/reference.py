"""DeepSeek-V4's forward pass, written from the specification's equations and precision table: the independent check of the engine.

Slow, whole sequences only, one function per section of the specification. Every tensor is float64. What the precision table
calls FP32 is computed in float64, the limit of all FP32 summation orders, so an FP32 engine differs by its own noise only; every
rounding that the table asks for (BF16, E4M3, E2M1) is a visible call here. `wide` turns those calls into the identity.

Choices where the table leaves room, the same as docs/numerics.md: the sink takes part in the softmax maximum; P is
bf16(exp(l - max)), divided at the end by the sum of the unrounded exponentials; the query head norm rounds every step; the routing
weight is applied before w2; index weights are bf16(bf16(linear) * constant); index scores are rounded after the dot product, the
weighting and the sum; ties go to the lower index; wo_a is dequantised to BF16 and its input is not quantised.

Functions are module globals called by name, so that mistakes.py can replace one at a time.
"""
import json
import math
import pathlib
from types import SimpleNamespace

import numpy as np
import torch

torch.set_num_threads(1)

ROWS = 512  # queries at a time: what they need in float64 is 2 MB a query at 128 heads of 512

# ---- configuration: spec 1.1 ----


def read_config(path):
    raw = json.loads(pathlib.Path(path).read_text())
    c = SimpleNamespace(
        d=raw["hidden_size"], n_layers=raw["num_hidden_layers"], heads=raw["num_attention_heads"], head_dim=raw["head_dim"],
        rope_dim=raw["qk_rope_head_dim"], groups=raw["o_groups"], window=raw["sliding_window"], ratios=raw["compress_ratios"],
        theta=raw["rope_theta"], compress_theta=raw["compress_rope_theta"], scaling=raw["rope_scaling"],
        index_heads=raw["index_n_heads"], index_dim=raw["index_head_dim"], index_topk=raw["index_topk"],
        experts=raw["n_routed_experts"], active=raw["num_experts_per_tok"], n_hash=raw["num_hash_layers"],
        route_scale=raw["routed_scaling_factor"], limit=raw["swiglu_limit"], streams=raw["hc_mult"],
        sinkhorn_iters=raw["hc_sinkhorn_iters"], hc_eps=raw["hc_eps"], norm_eps=raw["rms_norm_eps"],
        n_mtp=raw["num_nextn_predict_layers"])
    return c


# ---- checkpoint: spec 2.1, 2.2 ----

DTYPES = {"F32": np.float32, "BF16": np.uint16, "F8_E4M3": np.uint8, "F8_E8M0": np.uint8, "I8": np.uint8, "I64": np.int64}


def read_safetensors(folder):
    """All tensors of a checkpoint folder as (dtype name, raw array)."""
    tensors = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with open(path, "rb") as f:
            header_bytes = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(header_bytes))
        data = np.memmap(path, np.uint8, "r", 8 + header_bytes)
        for name, t in header.items():
            if name != "__metadata__":
                begin, end = t["data_offsets"]
                tensors[name] = (t["dtype"], data[begin:end].view(DTYPES[t["dtype"]]).reshape(t["shape"]))
    return tensors


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def e8m0(raw):
    assert not (raw == 255).any()
    return np.exp2(raw.astype(np.float64) - 127)


def dequantise(tensors, name):
    """The exact values of `name` as float64, and whether it is a quantised linear."""
    dtype, raw = tensors[name]
    if dtype == "BF16":
        return torch.from_numpy((raw.astype(np.uint32) << 16).view(np.float32).astype(np.float64)), False
    if dtype == "F32":
        return torch.from_numpy(raw.astype(np.float64)), False
    if dtype == "I64":
        return torch.from_numpy(raw.copy()), False
    scale = e8m0(tensors[name.removesuffix("weight") + "scale"][1])
    if dtype == "F8_E4M3":
        value = torch.from_numpy(raw.copy()).view(torch.float8_e4m3fn).double().numpy()
        scale = scale.repeat(128, 0)[: value.shape[0]].repeat(128, 1)[:, : value.shape[1]]
    else:  # FP4, low nibble first
        nibble = np.stack([raw & 15, raw >> 4], -1).reshape(raw.shape[0], -1)
        value = np.concatenate([E2M1, -E2M1])[nibble]
        scale = scale.repeat(32, 1)
    return torch.from_numpy(value * scale), True


# ---- rounding points: spec 5 ----


def bf16(x):
    return x.float().bfloat16().double()


def power_of_two_scale(amax, limit):
    """2^ceil(log2(amax / limit)) by the FP32 rule of spec 5.1."""
    ratio = amax.float() * torch.tensor(1 / limit, dtype=torch.float32)
    bits = ratio.view(torch.int32)
    exponent = (bits >> 23) - 127 + ((bits & 0x7FFFFF) != 0).int()
    return torch.exp2(exponent.double())


def blocks(x, size):
    """[..., k] in blocks of `size` along the last axis, the last one possibly shorter."""
    return torch.split(x, size, -1)


def fp8(x, block):
    """Spec 5.2: the E4M3 round trip."""
    out = []
    for b in blocks(x, block):
        scale = power_of_two_scale(b.abs().amax(-1, keepdim=True).clamp(min=1e-4), 448.0)
        out.append((b / scale).clamp(-448, 448).float().to(torch.float8_e4m3fn).double() * scale)
    return torch.cat(out, -1)


def e2m1(x):
    """Nearest of 0, 0.5, 1, 1.5, 2, 3, 4, 6; ties to the even code."""
    borders = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0], dtype=torch.float64)
    a = x.abs()[..., None]
    up_at_tie = torch.arange(7) % 2 == 1  # from an odd code up to an even one
    code = ((a > borders) | ((a == borders) & up_at_tie)).sum(-1)
    return torch.sign(x) * torch.from_numpy(E2M1)[code]


def fp4(x, block):
    out = []
    for b in blocks(x, block):
        scale = power_of_two_scale(b.abs().amax(-1, keepdim=True).clamp(min=6 * 2.0**-126), 6.0)
        out.append(e2m1((b / scale).clamp(-6, 6)) * scale)
    return torch.cat(out, -1)


def hadamard(x):
    """Spec 5.4, Sylvester order."""
    n = x.shape[-1]
    i = torch.arange(n)
    bits = i[:, None] & i[None, :]
    parity = sum((bits >> k) & 1 for k in range(n.bit_length())) % 2
    return bf16(x @ (1.0 - 2.0 * parity.double()) * n**-0.5)


def rounding_off():
    """The wide mode: no rounding point is left."""
    g = globals()
    g["bf16"] = lambda x: x
    g["fp8"] = g["fp4"] = lambda x, block: x
    g["hadamard"] = lambda x: x


# ---- spec 3.4, 3.5 ----


def rms_norm(x, w, eps):
    return bf16(w * x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps))


def frequencies(c, compressed):
    n = c.rope_dim
    i = torch.arange(0, n, 2, dtype=torch.float64)
    if not compressed:
        return (c.theta ** (-i / n)).float()
    s = c.scaling
    w = c.compress_theta ** (-i / n)

    def place(turns):
        return n * math.log(s["original_max_position_embeddings"] / (turns * 2 * math.pi)) / (2 * math.log(c.compress_theta))

    low, high = max(math.floor(place(s["beta_fast"])), 0), min(math.ceil(place(s["beta_slow"])), n - 1)
    ramp = ((torch.arange(n // 2, dtype=torch.float64) - low) / max(high - low, 0.001)).clamp(0, 1)
    return ((w / s["factor"]) * ramp + w * (1 - ramp)).float()


def rotate(c, x, positions, compressed, inverse=False):
    """Rotates interleaved pairs of the last rope_dim of x [tokens, ..., dim]. Angles are FP32 products."""
    angle = (positions.float()[:, None] * frequencies(c, compressed)[None, :]).double()
    angle = angle.view(len(positions), *([1] * (x.dim() - 2)), -1) * (-1 if inverse else 1)
    cos, sin = torch.cos(angle), torch.sin(angle)
    head, tail = x[..., : -c.rope_dim], x[..., -c.rope_dim:]
    a, b = tail[..., 0::2], tail[..., 1::2]
    turned = torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)
    return torch.cat([head, bf16(turned)], -1)


# ---- spec 3.2, 3.3: hyper-connections ----


def sinkhorn(a, iters, eps):
    m = torch.softmax(a, -1) + eps
    m = m / (m.sum(-2, keepdim=True) + eps)
    for _ in range(iters - 1):
        m = m / (m.sum(-1, keepdim=True) + eps)
        m = m / (m.sum(-2, keepdim=True) + eps)
    return m


def hc_pre(c, X, fn, base, scale):
    S = c.streams
    u = X.flatten(-2)
    m = (u @ fn.T) / torch.sqrt((u * u).mean(-1, keepdim=True) + c.norm_eps)
    pre = torch.sigmoid(scale[0] * m[:, :S] + base[:S]) + c.hc_eps
    post = 2 * torch.sigmoid(scale[1] * m[:, S:2 * S] + base[S:2 * S])
    comb = sinkhorn((scale[2] * m[:, 2 * S:] + base[2 * S:]).view(-1, S, S), c.sinkhorn_iters, c.hc_eps)
    return bf16((pre[..., None] * X).sum(-2)), post, comb


def mix(comb, X):
    """sum_j C[j][k] X[j]: the first index of C is contracted."""
    return torch.einsum("tjk,tjd->tkd", comb, X)


def hc_post(X, y, post, comb):
    return bf16(post[..., None] * y[:, None, :] + mix(comb, X))


def hc_head(c, X, fn, base, scale):
    u = X.flatten(-2)
    m = (u @ fn.T) / torch.sqrt((u * u).mean(-1, keepdim=True) + c.norm_eps)
    pre = torch.sigmoid(scale * m + base) + c.hc_eps
    return bf16((pre[..., None] * X).sum(-2))


# ---- spec 4: visibility ----


def window_start(c, t):
    return max(0, t - c.window + 1)


def visible_entries(t, ratio):
    return (t + 1) // ratio


# ---- the model ----


class Model:
    """weights(name) are float64 values; linear() knows which are quantised."""

    def __init__(self, folder, wide=False, stream=False):
        """stream: weights are dequantised when they are needed and dropped after it, for checkpoints of real dimensions."""
        if wide:
            rounding_off()
        self.c = read_config(pathlib.Path(folder) / "config.json")
        self.tensors = read_safetensors(folder)
        self.kept = {}
        self.stream = stream

    def w(self, name):
        if name not in self.kept:
            self.kept[name] = dequantise(self.tensors, name)
        return self.kept[name][0]

    def forget(self):
        if self.stream:
            self.kept.clear()

    def at(self, stage, value):
        """Every value between two products passes here on its way: a comparison looks at it, and may give another one back."""
        return value

    def linear(self, name, x):
        """A linear whose output is BF16: the input is quantised where the weight is (spec 5.3)."""
        weight = self.w(name + ".weight")
        if self.kept[name + ".weight"][1]:
            x = fp8(x, 128)
        return bf16(x @ weight.T)

    # spec 3.6 - 3.9

    def attention(self, p, ratio, x, first=0):
        """The rows from `first` on; all of x is their past."""
        c, T = self.c, len(x)
        compressed = ratio != 0
        kv = rms_norm(self.linear(p + "wkv", x), self.w(p + "kv_norm.weight"), c.norm_eps)
        kv = store_kv(c, rotate(c, kv, torch.arange(T), compressed))
        entries = self.compress(p + "compressor.", ratio, c.head_dim, x) if ratio else kv[:0]
        entries = self.at("entries", store_kv(c, entries))
        kv = self.at("window", kv)
        keys = self.at("keys", self.index_keys(p + "indexer.", x)) if ratio == 4 else None
        return torch.cat([self.attend_rows(p, ratio, x[at: at + ROWS], at, kv, entries, keys) for at in range(first, T, ROWS)])

    def attend_rows(self, p, ratio, x, at, kv, entries, keys):
        """Attention of the queries at, at + 1, ..: x are their inputs."""
        c, n, compressed = self.c, len(x), ratio != 0
        positions = torch.arange(at, at + n)
        qr = self.at("qr", rms_norm(self.linear(p + "wq_a", x), self.w(p + "q_norm.weight"), c.norm_eps))
        q = head_norm(self.linear(p + "wq_b", qr).view(n, c.heads, c.head_dim), c.norm_eps)
        q = self.at("q", rotate(c, q, positions, compressed))
        if ratio == 4:
            selected = self.select(p + "indexer.", x, qr, positions, keys)
        else:
            selected = [range(visible_entries(t, ratio) if ratio else 0) for t in range(at, at + n)]
        sink = self.w(p + "attn_sink")
        out = torch.stack([attend(c, q[t - at], torch.cat([kv[window_start(c, t): t + 1], entries[list(selected[t - at])]]), sink)
                           for t in range(at, at + n)])
        out = self.at("out", rotate(c, out, positions, compressed, inverse=True))
        grouped = out.reshape(n, c.groups, -1)
        wo_a = bf16(self.w(p + "wo_a.weight")).view(c.groups, -1, grouped.shape[-1])
        v = self.at("v", bf16(torch.einsum("tgi,goi->tgo", grouped, wo_a)).flatten(-2))
        return self.at("y", self.linear(p + "wo_b", v))

    def compress(self, p, ratio, e, x):
        """Spec 3.7 up to the rotation: entries [n, e]."""
        c, n = self.c, len(x) // ratio
        ape = self.w(p + "ape")
        k = (x @ self.w(p + "wkv.weight").T)[: n * ratio].view(n, ratio, -1)
        z = (x @ self.w(p + "wgate.weight").T)[: n * ratio].view(n, ratio, -1) + ape
        if ratio == 4:
            k, z = overlapped(k, e, 0.0), overlapped(z, e, -math.inf)
        pooled = bf16((torch.softmax(z, 1) * k).sum(1)) if n else k.new_zeros(0, e)
        normed = rms_norm(pooled, self.w(p + "norm.weight"), c.norm_eps)
        return rotate(c, normed, torch.arange(n) * ratio, True)

    def index_keys(self, p, x):
        return fp4(hadamard(self.compress(p + "compressor.", 4, self.c.index_dim, x)), 32)

    def select(self, p, x, qr, positions, keys):
        """Spec 3.8: the selected entries of every token, ascending."""
        c, n_rows = self.c, len(x)
        q = self.linear(p + "wq_b", qr).view(n_rows, c.index_heads, c.index_dim)
        q = self.at("index_q", fp4(hadamard(rotate(c, q, positions, True)), 32))
        weights = self.at("index_w", bf16(self.linear(p + "weights_proj", x) * (c.index_dim**-0.5 * c.index_heads**-0.5)))
        chosen = []
        for i, t in enumerate(positions.tolist()):
            score = index_score(q[i], keys[: visible_entries(t, 4)], weights[i])
            order = torch.sort(score, descending=True, stable=True).indices
            chosen.append(sorted(order[: c.index_topk].tolist()))
            self.at("score", score)
        return self.at("selected", chosen)

    # spec 3.10

    def moe(self, p, hashed, tokens, x):
        c = self.c
        s = torch.sqrt(softplus(x @ self.w(p + "gate.weight").T))
        if hashed:
            ids = self.w(p + "gate.tid2eid")[tokens]
        else:
            ids = torch.sort(s + self.w(p + "gate.bias"), dim=-1, descending=True, stable=True).indices[:, : c.active]
        ids = ids.sort(-1).values
        self.at("candidates", s if hashed else s + self.w(p + "gate.bias"))
        ids = self.at("experts", ids)
        g = torch.gather(s, 1, ids)
        g = self.at("g", g / g.sum(-1, keepdim=True) * c.route_scale)
        y = torch.zeros_like(x)
        for e in range(c.experts):
            rows, places = torch.where(ids == e)
            if len(rows):
                y[rows] += self.expert(f"{p}experts.{e}.", x[rows], g[rows, places][:, None], (rows, places))
                self.forget()
        return self.at("y_ffn", bf16(y + self.expert(p + "shared_experts.", x, 1.0)))

    def expert(self, p, x, g, where=None):
        """where: rows and places among the experts of a row, of a routed one."""
        h = bf16(g * swiglu(self.c, self.linear(p + "w1", x), self.linear(p + "w3", x)))
        return self.linear(p + "w2", self.at("h", (h, where))[0] if where else self.at("h_shared", h))

    # spec 3.4, 3.11, 3.12

    def block(self, p, ratio, hashed, tokens, X, first=0):
        """The streams behind a block, rows from `first` on."""
        c = self.c
        x, post, comb = hc_pre(c, X, *(self.w(p + "hc_attn_" + s) for s in ("fn", "base", "scale")))
        x = self.at("x", rms_norm(x, self.w(p + "attn_norm.weight"), c.norm_eps))
        y = self.attention(p + "attn.", ratio, x, first)
        X = self.at("mid", hc_post(X[first:], y, post[first:], comb[first:]))
        self.forget()
        x, post, comb = hc_pre(c, X, *(self.w(p + "hc_ffn_" + s) for s in ("fn", "base", "scale")))
        x = self.at("x_ffn", rms_norm(x, self.w(p + "ffn_norm.weight"), c.norm_eps))
        X = self.at("behind", hc_post(X, self.moe(p + "ffn.", hashed, tokens[first:], x), post, comb))
        self.forget()
        return X

    def head(self, p, X):
        x = hc_head(self.c, X, *(self.w(p + "hc_head_" + s) for s in ("fn", "base", "scale")))
        return rms_norm(x, self.w(p + "norm.weight"), self.c.norm_eps) @ self.w("head.weight").T

    def streams(self, tokens, first=0):
        """The residual streams after the last layer, rows from `first` on."""
        X = self.w("embed.weight")[tokens][:, None, :].repeat(1, self.c.streams, 1)
        last = self.c.n_layers - 1
        for n in range(self.c.n_layers):
            X = self.block(f"layers.{n}.", self.c.ratios[n], n < self.c.n_hash, tokens, X, first if n == last else 0)
        return X

    def logits(self, tokens):
        return self.head("", self.streams(torch.as_tensor(tokens)))

    def mtp_logits(self, tokens):
        """Row t predicts token t + 2; there are len(tokens) - 1 rows."""
        tokens = torch.as_tensor(tokens)
        return self.mtp_head(self.streams(tokens)[:-1], tokens[1:])

    def mtp_head(self, X, following, first=0):
        """Streams of the last len(X) tokens and the tokens behind all: logits of the rows from position `first` on. What stands before
        the streams is zero: where it is in no window, it does not matter."""
        c, p, start = self.c, "mtp.0.", len(following) - len(X)
        e = rms_norm(self.w("embed.weight")[following[start:]], self.w(p + "enorm.weight"), c.norm_eps)
        h = rms_norm(X, self.w(p + "hnorm.weight"), c.norm_eps)
        X = bf16(self.linear(p + "e_proj", e)[:, None, :] + self.linear(p + "h_proj", h))
        X = self.at("joined", torch.cat([X.new_zeros(start, *X.shape[1:]), X]))
        return self.head(p, self.block(p, 0, False, following, X, first))


def head_norm(q, eps):
    """Spec 3.6.3: the square, the mean, the root and the product are BF16 each."""
    mean = bf16(bf16(q * q).mean(-1, keepdim=True))
    return bf16(q * bf16(1 / torch.sqrt(bf16(mean + eps))))


def store_kv(c, kv):
    """What a KV row keeps: E4M3 in blocks of 64, the rotated tail in BF16."""
    return torch.cat([fp8(kv[..., : -c.rope_dim], 64), kv[..., -c.rope_dim:]], -1)


def attend(c, q, keys, sink):
    logit = q @ keys.T * c.head_dim**-0.5
    top = torch.maximum(logit.amax(-1), sink)[:, None]
    e = torch.exp(logit - top)
    return bf16(bf16(e) @ keys / (e.sum(-1, keepdim=True) + torch.exp(sink[:, None] - top)))


def overlapped(x, e, missing):
    """CSA: slots 0..3 are the previous block's first half, slots 4..7 the own block's second half."""
    before = torch.cat([torch.full_like(x[:1, :, :e], missing), x[:-1, :, :e]])
    return torch.cat([before, x[:, :, e:]], 1)


def index_score(q, keys, weights):
    dot = bf16(q @ keys.T).clamp(min=0)
    return bf16(bf16(weights[:, None] * dot).sum(0))


def softplus(z):
    return torch.where(z > 20, z, torch.log1p(torch.exp(z.clamp(max=20))))


def swiglu(c, a, u):
    if c.limit > 0:
        a, u = a.clamp(max=c.limit), u.clamp(-c.limit, c.limit)
    return a * torch.sigmoid(a) * u


def main():
    import argparse

    args = argparse.ArgumentParser(description="logits of a checkpoint folder by the specification")
    args.add_argument("folder")
    args.add_argument("tokens", help="JSON list of ids")
    args.add_argument("out", help=".npy")
    args.add_argument("--wide", action="store_true")
    args.add_argument("--mtp", action="store_true", help="the MTP block's logits instead")
    a = args.parse_args()
    tokens = json.loads(pathlib.Path(a.tokens).read_text())
    model = Model(a.folder, a.wide)
    with torch.no_grad():
        y = model.mtp_logits(tokens) if a.mtp else model.logits(tokens)
    np.save(a.out, y.float().numpy())


if __name__ == "__main__":
    main()
