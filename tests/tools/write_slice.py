"""Writes a synthetic checkpoint with the official dimensions and a cut depth: `python3 tests/tools/write_slice.py flash|pro [FOLDER]`.

The layout is the official one: config.json, safetensors shards, an index, official tensor names, FP4 experts, FP8 linears, E8M0 scales.
Without FOLDER it goes to the user's cache folder (see folder_of). Same seed, same bytes, on any machine; nothing is written when a
finished one is there. One tensor is in memory at a time.

            blocks (ratios; the last one is MTP)     experts   stored    packed by the engine
  flash     0 4 128 4 0    the first two by token    16        2.2 GB    5.8 GB
  pro       128 4 128 0    the first by token        16        4.1 GB    12.2 GB

How the values are chosen. Weights are normal, quantised to the stored format, of size 1 / sqrt(inputs), so that every product keeps the
size of its input. Neighbouring E8M0 scales differ by one exponent, so that a scale at the wrong place shows. Gate logits have a standard
deviation of about 1.5 and selection biases of 0.05: margins between the last expert taken and the first one left are then those of a
trained router's order. Sinks, position biases and hyper-connections are small and not zero.
"""
import hashlib
import json
import os
import pathlib
import shutil
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import checkpoint  # noqa: E402

VERSION = "slice 1"
SHARDS = 3

COMMON = {"vocab_size": 16384, "head_dim": 512, "qk_rope_head_dim": 64, "o_lora_rank": 1024, "sliding_window": 128,
          "index_n_heads": 64, "index_head_dim": 128, "n_routed_experts": 16, "num_experts_per_tok": 6, "swiglu_limit": 10.0,
          "num_nextn_predict_layers": 1}
TINY = {"vocab_size": 512, "hidden_size": 128, "num_attention_heads": 4, "head_dim": 96, "qk_rope_head_dim": 32, "q_lora_rank": 96,
        "o_lora_rank": 32, "o_groups": 2, "index_n_heads": 16, "index_head_dim": 32, "moe_intermediate_size": 64, "index_topk": 16}
FLASH = {**COMMON, "hidden_size": 4096, "num_attention_heads": 64, "q_lora_rank": 1024, "o_groups": 8, "index_topk": 512,
         "moe_intermediate_size": 2048, "num_hash_layers": 2}
PRO = {**COMMON, "hidden_size": 7168, "num_attention_heads": 128, "q_lora_rank": 1536, "o_groups": 16, "index_topk": 1024,
       "moe_intermediate_size": 3072, "num_hash_layers": 1, "routed_scaling_factor": 2.5}
# name: configuration, tokens to run: 64 behind the place where the index begins to select
SLICES = {
    "flash": (checkpoint.config([0, 4, 128, 4, 0], **FLASH), 2304 + 64),
    "pro": (checkpoint.config([128, 4, 128, 0], **PRO), 4352 + 64),
    "flash-tiny": (checkpoint.config([0, 4, 128, 4, 0], **{**FLASH, **TINY}), 256 + 64),
    "pro-tiny": (checkpoint.config([128, 4, 128, 0], **{**PRO, **TINY}), 256 + 64),
}


def folder_of(name):
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return cache / "deepread-tests" / f"{name}-slice"


def normal_quantiles(n):
    """n values of the normal distribution, equally likely, ascending (Acklam's formula, refined by nothing: 1e-9 is plenty)."""
    from statistics import NormalDist
    d = NormalDist()
    return np.array([d.inv_cdf((i + 0.5) / n) for i in range(n)])


def e4m3_values():
    code = np.arange(128)
    e, m = code >> 3, code & 7
    return np.where(e == 0, m * 2.0**-9, (8 + m) * 2.0 ** (e - 10.0))[:127]  # 127 is NaN


def nearest(values, x):
    return np.abs(values[None, :] - np.abs(x)[:, None]).argmin(1)


class Tables:
    """Codes by 16 random bits: so the values of a tensor are one look-up each."""

    def __init__(self):
        z = normal_quantiles(4096)
        self.e4m3_size = 64.0  # standard deviation of the codes' values: below 448 / 4.5
        code = nearest(e4m3_values(), z * self.e4m3_size) | (z < 0) * 128
        self.e4m3 = code.astype(np.uint8)[np.arange(65536) >> 4]
        z = normal_quantiles(256)
        self.e2m1_size = 2.0
        code = (nearest(np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6]), z * self.e2m1_size) | (z < 0) * 8).astype(np.uint8)
        pair = np.arange(65536)
        self.e2m1 = code[pair & 255] | code[pair >> 8] << 4
        self.real = np.repeat(normal_quantiles(16384), 4).astype(np.float32)


class Writer:
    """Tensors in official order, shard by shard: a first pass plans headers and sizes, a second one writes the bytes."""

    def __init__(self, name, config):
        self.name, self.config, self.tables, self.plan = name, config, Tables(), []

    def words(self, tensor, n_bytes):
        seed = int.from_bytes(hashlib.sha256(f"{VERSION}/{self.name}/{tensor}".encode()).digest()[:16], "little")
        return np.random.PCG64(seed).random_raw(-(-n_bytes // 8)).view(np.uint8)[:n_bytes]

    def add(self, tensor, dtype, shape, make):
        size = {"F32": 4, "BF16": 2, "I64": 8}.get(dtype, 1)
        self.plan.append((tensor, dtype, shape, int(np.prod(shape)) * size, make))

    def real(self, tensor, dtype, shape, size, offset=0.0):
        def make():
            v = self.tables.real[self.words(tensor, 2 * int(np.prod(shape))).view(np.uint16)] * np.float32(size) + np.float32(offset)
            if dtype == "F32":
                return v
            bits = v.view(np.uint32)
            return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
        self.add(tensor, dtype, shape, make)

    def matrix(self, tensor, dtype, n, k, size=1.0):
        self.real(tensor, dtype, (n, k), size / np.sqrt(k))

    def norm(self, tensor, n):
        self.real(tensor, "BF16", (n,), 0.1, 1.0)

    def scale(self, tensor, shape, base):
        self.add(tensor, "F8_E8M0", shape,
                 lambda: (self.words(tensor, int(np.prod(shape))) % 2 + np.uint8(127 + base)).astype(np.uint8))

    def fp8(self, tensor, n, k):
        self.add(tensor + ".weight", "F8_E4M3", (n, k),
                 lambda: self.tables.e4m3[self.words(tensor + ".weight", 2 * n * k).view(np.uint16)])
        self.scale(tensor + ".scale", (-(-n // 128), -(-k // 128)), self.exponent(self.tables.e4m3_size, k))

    def fp4(self, tensor, n, k):
        self.add(tensor + ".weight", "I8", (n, k // 2),
                 lambda: self.tables.e2m1[self.words(tensor + ".weight", n * k).view(np.uint16)])
        self.scale(tensor + ".scale", (n, k // 32), self.exponent(self.tables.e2m1_size, k))

    @staticmethod
    def exponent(size, k):
        """The lower of the two exponents with which values of this size come to about 1 / sqrt(k)."""
        return round(np.log2(1 / (size * np.sqrt(k))) - 0.5)

    def experts_by_token(self, tensor, vocab, active, n_experts):
        def make():
            key = self.words(tensor, 4 * vocab * n_experts).view(np.uint32).reshape(vocab, n_experts)
            return np.argsort(key, 1, kind="stable")[:, :active].astype(np.int64)
        self.add(tensor, "I64", (vocab, active), make)

    def hyper_connection(self, p, rows, n_scales, k):
        self.matrix(p + "_fn", "F32", rows, k)
        self.real(p + "_base", "F32", (rows,), 0.5)
        self.real(p + "_scale", "F32", (n_scales,), 0.05, 0.5)

    def compressor(self, p, ratio, e, d):
        width = 2 * e if ratio == 4 else e
        self.matrix(p + "wkv.weight", "BF16", width, d)
        self.matrix(p + "wgate.weight", "BF16", width, d)
        self.real(p + "ape", "F32", (ratio, width), 0.5)
        self.norm(p + "norm.weight", e)

    def layer(self, p, ratio, hashed):
        c = self.config
        d, S, f, n_experts = c["hidden_size"], c["hc_mult"], c["moe_intermediate_size"], c["n_routed_experts"]
        heads, dim, q_rank, groups, o_rank = (c[k] for k in ("num_attention_heads", "head_dim", "q_lora_rank", "o_groups",
                                                             "o_lora_rank"))
        self.norm(p + "attn_norm.weight", d)
        self.norm(p + "ffn_norm.weight", d)
        self.hyper_connection(p + "hc_attn", (2 + S) * S, 3, S * d)
        self.hyper_connection(p + "hc_ffn", (2 + S) * S, 3, S * d)
        a = p + "attn."
        self.real(a + "attn_sink", "F32", (heads,), 1.0)
        self.fp8(a + "wq_a", q_rank, d)
        self.norm(a + "q_norm.weight", q_rank)
        self.fp8(a + "wq_b", heads * dim, q_rank)
        self.fp8(a + "wkv", dim, d)
        self.norm(a + "kv_norm.weight", dim)
        self.fp8(a + "wo_a", groups * o_rank, heads * dim // groups)
        self.fp8(a + "wo_b", d, groups * o_rank)
        if ratio:
            self.compressor(a + "compressor.", ratio, dim, d)
        if ratio == 4:
            self.fp8(a + "indexer.wq_b", c["index_n_heads"] * c["index_head_dim"], q_rank)
            self.matrix(a + "indexer.weights_proj.weight", "BF16", c["index_n_heads"], d)
            self.compressor(a + "indexer.compressor.", ratio, c["index_head_dim"], d)
        g = p + "ffn."
        self.matrix(g + "gate.weight", "BF16", n_experts, d, 1.5)
        if hashed:
            self.experts_by_token(g + "gate.tid2eid", c["vocab_size"], c["num_experts_per_tok"], n_experts)
        else:
            self.real(g + "gate.bias", "F32", (n_experts,), 0.05)
        for e in range(n_experts):
            self.fp4(f"{g}experts.{e}.w1", f, d)
            self.fp4(f"{g}experts.{e}.w2", d, f)
            self.fp4(f"{g}experts.{e}.w3", f, d)
        self.fp8(g + "shared_experts.w1", f, d)
        self.fp8(g + "shared_experts.w2", d, f)
        self.fp8(g + "shared_experts.w3", f, d)

    def all_tensors(self):
        c = self.config
        d, S = c["hidden_size"], c["hc_mult"]
        self.real("embed.weight", "BF16", (c["vocab_size"], d), 1.0)
        for n in range(c["num_hidden_layers"]):
            self.layer(f"layers.{n}.", c["compress_ratios"][n], n < c["num_hash_layers"])
        self.norm("norm.weight", d)
        self.matrix("head.weight", "BF16", c["vocab_size"], d)
        self.hyper_connection("hc_head", S, 1, S * d)
        p = "mtp.0."
        self.layer(p, c["compress_ratios"][-1], False)
        for n in ("enorm", "hnorm", "norm"):
            self.norm(f"{p}{n}.weight", d)
        self.fp8(p + "e_proj", d, d)
        self.fp8(p + "h_proj", d, d)
        self.hyper_connection(p + "hc_head", S, 1, S * d)

    def write(self, folder):
        self.all_tensors()
        total = sum(t[3] for t in self.plan)
        shards, at = [[] for _ in range(SHARDS)], 0
        for t in self.plan:  # the MTP block comes last, so it lies in the last shard, as officially
            shards[min(at * SHARDS // total, SHARDS - 1)].append(t)
            at += t[3]
        names = [f"model-{i + 1:05}-of-{SHARDS:05}.safetensors" for i in range(SHARDS)]
        for name, tensors in zip(names, shards):
            header, at = {}, 0
            for tensor, dtype, shape, n, _ in tensors:
                header[tensor] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + n]}
                at += n
            text = json.dumps(header, separators=(",", ":")).encode()
            text += b" " * (-len(text) % 8)
            with open(folder / name, "wb") as f:
                f.write(len(text).to_bytes(8, "little") + text)
                for tensor, _, _, n, make in tensors:
                    data = make()
                    assert data.nbytes == n, tensor
                    f.write(memoryview(np.ascontiguousarray(data)).cast("B"))
        weight_map = {t[0]: name for name, tensors in zip(names, shards) for t in tensors}
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=1) + "\n")
        (folder / "config.json").write_text(checkpoint.dump_config(self.config))
        return total


def ensure(name, folder=None):
    """The folder of the slice, written first when it is not there yet."""
    folder = pathlib.Path(folder or folder_of(name))
    if (folder / "written").exists() and (folder / "written").read_text() == VERSION:
        return folder
    config, n_tokens = SLICES[name]
    making = folder.with_name(folder.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    making.mkdir(parents=True)
    total = Writer(name, config).write(making)
    tokens = checkpoint.tokens(f"{name}-slice", n_tokens, config["vocab_size"])
    (making / "tokens.json").write_text(json.dumps(tokens) + "\n")
    (making / "written").write_text(VERSION)
    making.rename(folder)
    print(f"{folder}: {total / 1e9:.2f} GB", flush=True)
    return folder


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in SLICES:
        sys.exit(__doc__)
    ensure(*sys.argv[1:])


if __name__ == "__main__":
    main()
