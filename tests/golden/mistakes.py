"""Would the golden data notice? Puts one mistake at a time into the reference and measures the distance to the committed logits.

One line a mistake. "real": the checkpoint of one layer where it shows most, median distance and positions above 1e-3; it is noticed
when the median is above 1e-6 or more than 2 % of the positions are above 1e-3. "wide": whole models, the largest absolute
difference; noticed above 2e-4. The tests apply the same limits to the engine.

  python3 tests/golden/mistakes.py [MISTAKE ...]
"""
import contextlib
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch

import checkpoint
import reference as ref
from noise import distances

HERE = pathlib.Path(__file__).parent
REAL, WIDE = ("swa", "hash", "csa", "hca", "fp8"), ("flash", "odd")
model = ref.Model


def sinkhorn_rows_last(a, iters, eps):
    m = torch.softmax(a, -2) + eps
    m = m / (m.sum(-1, keepdim=True) + eps)
    for _ in range(iters - 1):
        m = m / (m.sum(-2, keepdim=True) + eps)
        m = m / (m.sum(-1, keepdim=True) + eps)
    return m


def no_sink(c, q, keys, sink):
    return attend(c, q, keys, torch.full_like(sink, -1e30))


def p_not_rounded(c, q, keys, sink):
    logit = torch.cat([q @ keys.T * c.head_dim**-0.5, sink[:, None]], -1)
    return ref.bf16(torch.softmax(logit, -1)[:, :-1] @ keys)


def sink_outside_maximum(c, q, keys, sink):
    logit = q @ keys.T * c.head_dim**-0.5
    top = logit.amax(-1, keepdim=True)
    e = torch.exp(logit - top)
    return ref.bf16(ref.bf16(e) @ keys / (e.sum(-1, keepdim=True) + torch.exp(sink[:, None] - top)))


def halves_swapped(x, e, missing):
    return overlapped(torch.cat([x[:, :, e:], x[:, :, :e]], -1), e, missing)


def entry_position(step):
    """The entry's rotation at another token of its block."""
    def rotate_(c, x, positions, compressed, inverse=False):
        r = int(positions[1] - positions[0]) if len(positions) > 1 else 1
        return rotate(c, x, positions + step(r) if r > 1 else positions, compressed, inverse)
    return rotate_


def no_inverse(c, x, positions, compressed, inverse=False):
    return x if inverse else rotate(c, x, positions, compressed)


def halves_rotated(c, x, positions, compressed, inverse=False):
    n = c.rope_dim // 2
    order = torch.cat([torch.arange(0, 2 * n, 2), torch.arange(1, 2 * n, 2)])
    back = torch.argsort(order)
    tail = x[..., -2 * n:]
    turned = rotate(c, torch.cat([x[..., :-2 * n], tail[..., back]], -1), positions, compressed, inverse)
    return torch.cat([turned[..., :-2 * n], turned[..., -2 * n:][..., order]], -1)


def main_table_everywhere(c, compressed):
    return frequencies(c, False)


def no_relu(q, keys, weights):
    return ref.bf16(ref.bf16(weights[:, None] * ref.bf16(q @ keys.T)).sum(0))


def scores_not_rounded(q, keys, weights):
    return (weights[:, None] * (q @ keys.T).clamp(min=0)).sum(0)


def ties_to_the_higher(q, keys, weights):
    score = index_score(q, keys, weights)
    return score + torch.arange(len(score)) * 1e-12


def clamp_both_sides(c, a, u):
    return swiglu(c, a.clamp(min=-c.limit), u)


def shared_without_clamp(self, p, x, g, where=None):
    if "shared" not in p:
        return expert(self, p, x, g)
    a, u = self.linear(p + "w1", x), self.linear(p + "w3", x)
    return self.linear(p + "w2", ref.bf16(a * torch.sigmoid(a) * u))


def weight_after_w2(self, p, x, g, where=None):
    return g * expert(self, p, x, 1.0)


def head_norm_in_one_step(q, eps):
    return ref.bf16(q / torch.sqrt((q * q).mean(-1, keepdim=True) + eps))


def kv_not_quantised(c, kv):
    return kv


def high_nibble_first(tensors, name):
    dtype, raw = tensors[name]
    return dequantise({**tensors, name: (dtype, raw >> 4 | raw << 4)} if dtype == "I8" else tensors, name)


def post_with_eps(c, X, fn, base, scale):
    x, post, comb = hc_pre(c, X, fn, base, scale)
    return x, post + 1e-3, comb


def no_position_bias(self, name):
    value = w(self, name)
    return torch.zeros_like(value) if name.endswith("compressor.ape") else value


def no_routing_bias(self, name):
    value = w(self, name)
    return torch.zeros_like(value) if name.endswith("gate.bias") else value


index_score = ref.index_score
hc_pre, attend, overlapped, rotate, frequencies = ref.hc_pre, ref.attend, ref.overlapped, ref.rotate, ref.frequencies
swiglu, expert, dequantise, w, sinkhorn, mix = ref.swiglu, model.expert, ref.dequantise, model.w, ref.sinkhorn, ref.mix
n_tokens = 0

# name: (where, attribute, replacement, which modes it exists in)
MISTAKES = {
    "none": (ref, "mix", mix, "rw"),
    "sinkhorn ends on rows": (ref, "sinkhorn", sinkhorn_rows_last, "rw"),
    "sinkhorn one round less": (ref, "sinkhorn", lambda a, iters, eps: sinkhorn(a, iters - 1, eps), "rw"),
    "mixing matrix transposed": (ref, "mix", lambda comb, X: mix(comb.transpose(1, 2), X), "rw"),
    "write side 0.001 too large": (ref, "hc_pre", post_with_eps, "rw"),
    "entries visible a token late": (ref, "visible_entries", lambda t, r: t // r, "rw"),
    "entries visible a token early": (ref, "visible_entries", lambda t, r: min((t + 2) // r, n_tokens // r), "rw"),
    "window a token short": (ref, "window_start", lambda c, t: max(0, t - c.window + 2), "rw"),
    "window a token long": (ref, "window_start", lambda c, t: max(0, t - c.window), "rw"),
    "no sink": (ref, "attend", no_sink, "rw"),
    "entry position one token on": (ref, "rotate", entry_position(lambda r: 1), "rw"),
    "entry position at the block's end": (ref, "rotate", entry_position(lambda r: r - 1), "rw"),
    "no inverse rotation": (ref, "rotate", no_inverse, "rw"),
    "rotation pairs halves": (ref, "rotate", halves_rotated, "rw"),
    "main frequencies everywhere": (ref, "frequencies", main_table_everywhere, "rw"),
    "CSA halves swapped": (ref, "overlapped", halves_swapped, "rw"),
    "first CSA entry pools absent tokens": (ref, "overlapped", lambda x, e, missing: overlapped(x, e, 0.0), "rw"),
    "no position bias in compressors": (model, "w", no_position_bias, "rw"),
    "indexer without ReLU": (ref, "index_score", no_relu, "rw"),
    "clamp on both sides of the gate": (ref, "swiglu", clamp_both_sides, "rw"),
    "shared expert without clamp": (model, "expert", shared_without_clamp, "rw"),
    "no routing bias": (model, "w", no_routing_bias, "rw"),
    "high nibble first": (ref, "dequantise", high_nibble_first, "rw"),
    "KV not quantised": (ref, "store_kv", kv_not_quantised, "r"),
    "no Hadamard": (ref, "hadamard", lambda x: x, "r"),
    "index scores not rounded": (ref, "index_score", scores_not_rounded, "r"),
    "index ties to the higher entry": (ref, "index_score", ties_to_the_higher, "r"),
    "P not rounded": (ref, "attend", p_not_rounded, "r"),
    "sink outside the maximum": (ref, "attend", sink_outside_maximum, "r"),
    "head norm in one step": (ref, "head_norm", head_norm_in_one_step, "r"),
    "routing weight after w2": (model, "expert", weight_after_w2, "r"),
}


@contextlib.contextmanager
def mistake(name):
    where, attribute, replacement, _ = MISTAKES[name]
    right = getattr(where, attribute)
    setattr(where, attribute, replacement)
    yield
    setattr(where, attribute, right)


def run(name, kind, folders):
    """The distances of every checkpoint of a kind."""
    global n_tokens
    for c in REAL if kind == "real" else WIDE:
        tokens = json.loads((HERE / "data" / c / "tokens.json").read_text())
        n_tokens = len(tokens)
        with mistake(name), torch.no_grad():
            found = ref.Model(folders / c).logits(tokens).numpy()
        yield c, np.load(HERE / "data" / c / f"{kind}.npy"), found


def main():
    names = sys.argv[1:] or list(MISTAKES)
    lines = {}
    with tempfile.TemporaryDirectory() as folders:
        folders = pathlib.Path(folders)
        for c in REAL + WIDE:
            key, _, config = checkpoint.CHECKPOINTS[c]
            (folders / c).mkdir()
            (folders / c / "config.json").write_text(checkpoint.dump_config(config))
            checkpoint.write(folders / c, key, config)
        for name in names:
            worst = max(((np.median(d), (d > 1e-3).mean(), c) for c, a, b in run(name, "real", folders) for d in [distances(a, b)]),
                        key=lambda x: (x[0] > 1e-6, x[1], x[0]))
            caught = worst[0] > 1e-6 or worst[1] > 0.02
            lines[name] = f"{name:36} real {worst[2]:4} {worst[0]:.1e} {worst[1]:6.1%} {'noticed' if caught else '-':7}"
        ref.rounding_off()
        for name in names:
            if "w" in MISTAKES[name][3]:
                worst = max((abs(a - b).max(), c) for c, a, b in run(name, "wide", folders))
                lines[name] += f"  wide {worst[1]:5} {worst[0]:.1e} {'noticed' if worst[0] > 2e-4 else '-'}"
            print(lines[name], flush=True)


if __name__ == "__main__":
    main()
