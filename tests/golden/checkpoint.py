"""Tiny random checkpoints in the official layout, made from integers only, so that checkpoint.c makes the same bytes.

  word(name, i) = splitmix64(fnv1a64(checkpoint key + "/" + tensor name) + i)
  BF16, F32     (sum of the word's eight bytes - 1020) * 2^-shift + offset; BF16 rounded to nearest even
  F8_E4M3       sign * code 0x38 .. 0x5f (1 .. 30), one in 64 a subnormal or zero
  FP4           any nibble
  F8_E8M0       about 1 / sqrt(k), three neighbouring exponents, so that a scale at the wrong place shows
  tid2eid       distinct experts

A matrix gives outputs of about the size of its inputs. Both writers list tensors in the same order and format the header alike:
data/checkpoints.txt has the SHA-256 of every file, and the tests compare.
"""
import hashlib
import json
import pathlib

import numpy as np

MASK = (1 << 64) - 1


def fnv1a64(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    return h


def words(seed, n):
    z = np.uint64(seed) + (np.arange(1, n + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


def half_log2(k):
    return (k.bit_length() - 1) // 2


class Writer:
    def __init__(self, key):
        self.key, self.parts, self.header, self.at = key, [], [], 0

    def words(self, tensor, n):
        return words(fnv1a64(f"{self.key}/{tensor}"), n)

    def add(self, tensor, dtype, shape, raw):
        data = raw.tobytes()
        dims = ",".join(str(n) for n in shape)
        self.header.append(f'"{tensor}":{{"dtype":"{dtype}","shape":[{dims}],"data_offsets":[{self.at},{self.at + len(data)}]}}')
        self.parts.append(data)
        self.at += len(data)

    def real(self, tensor, dtype, shape, shift, offset=0):
        n = int(np.prod(shape))
        total = self.words(tensor, n).view(np.uint8).reshape(n, 8).sum(1, dtype=np.int32) - 1020
        value = total.astype(np.float32) * np.float32(2.0**-shift) + np.float32(offset)
        if dtype == "BF16":
            bits = value.view(np.uint32)
            value = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
        self.add(tensor, dtype, shape, value)

    def matrix(self, tensor, dtype, n, k):
        self.real(tensor, dtype, (n, k), 8 + half_log2(k))

    def norm(self, tensor, n):
        self.real(tensor, "BF16", (n,), 10, 1)

    def scale(self, tensor, shape, exponent):
        w = self.words(tensor, shape[0] * shape[1])
        self.add(tensor, "F8_E8M0", shape, (w % np.uint64(3) + np.uint64(127 - 1 - exponent)).astype(np.uint8))

    def fp8(self, tensor, n, k):
        w = self.words(tensor + ".weight", n * k)
        code = np.uint64(0x38) + (w & np.uint64(0xFFFF)) % np.uint64(40)
        code = np.where((w >> np.uint64(16)) & np.uint64(63), code, (w >> np.uint64(24)) & np.uint64(7))
        self.add(tensor + ".weight", "F8_E4M3", (n, k), (code | (w >> np.uint64(63)) << np.uint64(7)).astype(np.uint8))
        self.scale(tensor + ".scale", (-(-n // 128), -(-k // 128)), 4 + half_log2(k))

    def fp4(self, tensor, n, k):
        w = self.words(tensor + ".weight", n * k // 2)
        self.add(tensor + ".weight", "I8", (n, k // 2), (w >> np.uint64(56)).astype(np.uint8))
        self.scale(tensor + ".scale", (n, k // 32), 2 + half_log2(k))

    def experts_by_token(self, tensor, vocab, active, n_experts):
        w = self.words(tensor, vocab)
        table = np.zeros((vocab, active), np.int64)
        for t in range(vocab):
            taken = []
            for j in range(active):
                e = (int(w[t]) >> (8 * j) & 255) % n_experts
                while e in taken:
                    e = (e + 1) % n_experts
                taken.append(e)
            table[t] = taken
        self.add(tensor, "I64", (vocab, active), table)

    def file(self):
        header = ("{" + ",".join(self.header) + "}").encode()
        header += b" " * (-len(header) % 8)
        return len(header).to_bytes(8, "little") + header + b"".join(self.parts)


def hyper_connection(w, p, rows, n_scales, streams_dim):
    w.matrix(p + "_fn", "F32", rows, streams_dim)
    w.real(p + "_base", "F32", (rows,), 9)
    w.real(p + "_scale", "F32", (n_scales,), 11, 1)


def compressor(w, p, ratio, e, d):
    width = 2 * e if ratio == 4 else e
    w.matrix(p + "wkv.weight", "BF16", width, d)
    w.matrix(p + "wgate.weight", "BF16", width, d)
    w.real(p + "ape", "F32", (ratio, width), 8)
    w.norm(p + "norm.weight", e)


def layer(w, p, c, ratio, hashed):
    d, S = c["hidden_size"], c["hc_mult"]
    heads, dim, q_rank, groups, o_rank = (c[k] for k in ("num_attention_heads", "head_dim", "q_lora_rank", "o_groups", "o_lora_rank"))
    f, n_experts, active = c["moe_intermediate_size"], c["n_routed_experts"], c["num_experts_per_tok"]
    w.norm(p + "attn_norm.weight", d)
    w.norm(p + "ffn_norm.weight", d)
    hyper_connection(w, p + "hc_attn", (2 + S) * S, 3, S * d)
    hyper_connection(w, p + "hc_ffn", (2 + S) * S, 3, S * d)
    a = p + "attn."
    w.real(a + "attn_sink", "F32", (heads,), 8)
    w.fp8(a + "wq_a", q_rank, d)
    w.norm(a + "q_norm.weight", q_rank)
    w.fp8(a + "wq_b", heads * dim, q_rank)
    w.fp8(a + "wkv", dim, d)
    w.norm(a + "kv_norm.weight", dim)
    w.fp8(a + "wo_a", groups * o_rank, heads * dim // groups)
    w.fp8(a + "wo_b", d, groups * o_rank)
    if ratio:
        compressor(w, a + "compressor.", ratio, dim, d)
    if ratio == 4:
        w.fp8(a + "indexer.wq_b", c["index_n_heads"] * c["index_head_dim"], q_rank)
        w.matrix(a + "indexer.weights_proj.weight", "BF16", c["index_n_heads"], d)
        compressor(w, a + "indexer.compressor.", ratio, c["index_head_dim"], d)
    g = p + "ffn."
    w.matrix(g + "gate.weight", "BF16", n_experts, d)
    if hashed:
        w.experts_by_token(g + "gate.tid2eid", c["vocab_size"], active, n_experts)
    else:
        w.real(g + "gate.bias", "F32", (n_experts,), 11)
    expert = w.fp8 if c["expert_dtype"] == "fp8" else w.fp4
    for e in range(n_experts):
        expert(f"{g}experts.{e}.w1", f, d)
        expert(f"{g}experts.{e}.w2", d, f)
        expert(f"{g}experts.{e}.w3", f, d)
    w.fp8(g + "shared_experts.w1", f, d)
    w.fp8(g + "shared_experts.w2", d, f)
    w.fp8(g + "shared_experts.w3", f, d)


def write(folder, key, c):
    """folder/config.json must be there; writes folder/model.safetensors, returns its SHA-256."""
    w = Writer(key)
    d, S, vocab = c["hidden_size"], c["hc_mult"], c["vocab_size"]
    w.real("embed.weight", "BF16", (vocab, d), 8)
    w.matrix("head.weight", "BF16", vocab, d)
    w.norm("norm.weight", d)
    hyper_connection(w, "hc_head", S, 1, S * d)
    for n in range(c["num_hidden_layers"]):
        layer(w, f"layers.{n}.", c, c["compress_ratios"][n], n < c["num_hash_layers"])
    if c["num_nextn_predict_layers"]:
        p = "mtp.0."
        layer(w, p, c, 0, False)
        for norm in ("enorm", "hnorm", "norm"):
            w.norm(f"{p}{norm}.weight", d)
        w.fp8(p + "e_proj", d, d)
        w.fp8(p + "h_proj", d, d)
        hyper_connection(w, p + "hc_head", S, 1, S * d)
    data = w.file()
    (pathlib.Path(folder) / "model.safetensors").write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def config(ratios, **changes):
    """A configuration with the official keys. ratios has one entry a layer and one for the MTP block, when there is one."""
    c = {
        "architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4", "torch_dtype": "bfloat16",
        "vocab_size": 96, "hidden_size": 128, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 96,
        "qk_rope_head_dim": 32, "q_lora_rank": 64, "o_lora_rank": 32, "o_groups": 2, "sliding_window": 128,
        "compress_ratios": ratios, "compress_rope_theta": 160000, "rope_theta": 10000,
        "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536, "beta_fast": 32, "beta_slow": 1},
        "max_position_embeddings": 1048576, "index_n_heads": 16, "index_head_dim": 32, "index_topk": 16,
        "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
        "num_hash_layers": 0, "scoring_func": "sqrtsoftplus", "topk_method": "noaux_tc", "norm_topk_prob": True,
        "routed_scaling_factor": 1.5, "swiglu_limit": 2.0, "hidden_act": "silu", "hc_mult": 4, "hc_sinkhorn_iters": 20,
        "hc_eps": 1e-6, "rms_norm_eps": 1e-6, "num_nextn_predict_layers": 0, "tie_word_embeddings": False,
        "attention_bias": False, "attention_dropout": 0.0, "initializer_range": 0.02, "bos_token_id": 0, "eos_token_id": 1,
        "expert_dtype": "fp4",
        "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "scale_fmt": "ue8m0",
                                "weight_block_size": [128, 128]},
    }
    c.update(changes)
    c["num_hidden_layers"] = len(ratios) - c["num_nextn_predict_layers"]
    return c


def dump_config(c):
    return json.dumps(c, indent=2) + "\n"


def tokens(key, n, vocab):
    return [int(v) for v in words(fnv1a64(key + "/tokens"), n) % np.uint64(vocab)]


# name: (key, tokens, configuration). One layer of every kind for the real mode, whole models for the wide mode. The number in a
# one-layer model's key was chosen with noise.py: noise of FP32 size then moves hardly any position of the reference itself.
CHECKPOINTS = {
    "swa": ("swa.6", 200, config([0])),
    "hash": ("hash.1", 160, config([0], num_hash_layers=1, num_experts_per_tok=3, sliding_window=40)),
    "csa": ("csa.4", 200, config([4])),
    "hca": ("hca.5", 272, config([128])),
    "fp8": ("fp8.3", 160, config([4], expert_dtype="fp8", sliding_window=32, index_topk=8, num_attention_heads=8)),
    "mtp": ("mtp.4", 160, config([0, 0], num_nextn_predict_layers=1, sliding_window=64)),
    "flash": ("flash.1", 400, config([0, 0, 4, 128, 4, 0], num_nextn_predict_layers=1, num_hash_layers=3, num_experts_per_tok=3)),
    "pro": ("pro.1", 400, config([128, 128, 4, 128, 4, 0], num_nextn_predict_layers=1, num_hash_layers=3, num_experts_per_tok=3,
                                 o_groups=4, num_attention_heads=8, routed_scaling_factor=2.5, index_topk=32)),
    "odd": ("odd.1", 300, config([0, 4, 128, 4, 0, 128, 4], num_hash_layers=2, vocab_size=80, hidden_size=192,
                                 num_attention_heads=6, o_groups=3, head_dim=160, q_lora_rank=96, moe_intermediate_size=96,
                                 n_routed_experts=6, num_experts_per_tok=3, sliding_window=40, index_n_heads=20,
                                 index_head_dim=64, index_topk=8)),
}
