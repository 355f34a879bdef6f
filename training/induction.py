"""Starting weights from which copying emerges at once.

The architecture has no biases and normalises queries and keys, so a head that looks at a fixed offset forms
slowly by itself.  Here layer 0 is set to look at the two tokens before, and layers 1, 2 and 4 to match what
came before a token and to copy what followed it; the head starts as the embedding under a fixed rotation.
Only starting values are chosen: all of them are trained on.
"""
import math

import torch

from .model import POINTERS

SLOT = 48          # residual channels that carry the previous token
SECOND = 32        # and those of the one before it
LABEL = 48         # of a function's name at that name; and of the functions that a word, or a question, is about
SINK = 12.         # what matches nothing is not copied
QUIET = .4         # how loud pointers are before they have learned where to look


@torch.no_grad()
def apply(model, layers=(1, 2, 4), n1=44, sharp=5.0, seed=5):
    """The non-rope part of a head that copies: n1 channels match on t-1, SECOND on t-2, the rest is content.  The layer that seeks holds the
    labels of names in place of t-2."""
    c = model.c
    d, head, rope = c.d, c.head, c.rope
    plain = head - rope
    g = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(*shape, generator=g)
    q, _ = torch.linalg.qr(randn(d - 1, d - 1))
    q = torch.cat((torch.zeros(1, d - 1), q), 0)               # orthonormal; channel 0 is the constant one
    slot1, slot2, names, said, rest = q.split((SLOT, SECOND, LABEL, LABEL, d - 1 - SLOT - SECOND - 2 * LABEL), 1)
    k = rest.shape[1]
    copied = (randn(plain - n1 - SECOND, k) / math.sqrt(k) * math.sqrt(d / k)) @ rest.t()
    content = copied[:SLOT]
    turn, _ = torch.linalg.qr(randn(d - 1, d - 1))
    turn = torch.block_diag(torch.eye(1), turn)
    model.embed.copy_(model.embed @ rest @ rest.t() * math.sqrt((d - 1) / k))   # what heads write finds its channels empty
    model.embed[:, 0] = 1.5
    model.head.copy_(model.embed @ turn * 0.1)
    model.head[:, 0] = 0
    for b in model.blocks:
        b.attn.kv_norm.fill_(2.)
        b.ffn.w2.mul_(.25)
        b.ffn.s2.mul_(.25)
        b.attn.wo_b.mul_(.3)
        if b.attn.ratio:
            b.attn.compressor.norm.fill_(2.)

    # layer 0: the query is constant, turned back by the offset; the key constant on the fastest pairs
    a = model.blocks[0].attn
    w = c.theta ** (-torch.arange(0, rope, 2).float() / rope)
    a.wq_a[0] = 0
    a.wq_a[0, 0] = .6
    a.wkv[:SLOT] = content
    a.wkv[:, 0] = 0
    for i in range(4):
        r = plain + 2 * i
        a.wkv[r:r + 2] = 0
        a.wkv[r, 0] = .6
        a.kv_norm[r:r + 2] = sharp
    for h, offset in enumerate((1, 2)):
        a.wq_b[h * head:(h + 1) * head] *= .05
        for i, gain in enumerate((1., 1., .7, .5)):
            r = h * head + plain + 2 * i
            a.wq_b[r] = 0
            a.wq_b[r + 1] = 0
            a.wq_b[r, 0] = 2 * gain * math.cos(offset * w[i])
            a.wq_b[r + 1, 0] = -2 * gain * math.sin(offset * w[i])
    a.wo_a[0, :2 * SLOT] = 0
    for i in range(SLOT):
        a.wo_a[0, i, i] = 1
    for i in range(SECOND):
        a.wo_a[0, SLOT + i, head + i] = 1
    a.wo_b[:, :SLOT] = slot1 * .4
    a.wo_b[:, SLOT:SLOT + SECOND] = slot2 * .4

    for layer in layers:
        a, seeks = model.blocks[layer].attn, POINTERS[layer][-1] == 'seek'
        a.sink[:2] = SINK
        second = names if seeks else slot2
        n2, copies = second.shape[1], copied[:plain - n1 - second.shape[1]]
        keys = torch.cat((slot1.t()[:n1], second.t(), copies), 0)
        a.wkv[:plain] = keys
        a.wkv[plain:] *= .4
        a.wkv[:, 0] = 0
        a.kv_norm[:n1 + n2] = 3.
        if a.ratio == 4:
            p = a.compressor
            for half in (0, 1):
                p.wkv[half * head:half * head + plain] = keys
                p.wkv[half * head + plain:(half + 1) * head] *= .4
            p.wkv[:, 0] = 0
            p.norm[:n1 + n2] = 3.
        a.wq_a[1:1 + SLOT] = content
        a.wq_a[1 + SLOT:1 + SLOT + SECOND] = slot1.t()[:SECOND]
        for h in (0, 1):
            a.wq_b[h * head:(h + 1) * head] *= .05
            for i in range(n1):
                a.wq_b[h * head + i, 1 + i] = 1
            if h == 0 and not seeks:
                for i in range(SECOND):
                    a.wq_b[h * head + n1 + i, 1 + SLOT + i] = 1
        n = len(copies)
        a.wo_a[0, :n] = 0
        for i in range(n):
            a.wo_a[0, i, n1 + n2 + i] = .7
            a.wo_a[0, i, head + n1 + n2 + i] = .3
        a.wo_b[:, :n] = (turn.t() @ copies.t()) * (2.0 if layer == layers[0] else .8)

    # A function's name carries itself as its label (layer 1).  A question's words find themselves in names and take their labels (layer 2),
    # which the answer collects (layer 3): what is rare says most.  The name that has most of the label collected is said (layer 5).
    for layer, at, what in ((layer, at, what) for layer, heads in POINTERS.items() for at, what in heads.items() if what != 'question'):
        a, h = model.blocks[layer].attn, c.heads + at
        column = h % (c.heads // c.o_groups) * head          # of the last group, where all pointers are
        a.wo_a[1, :len(copied)] = 0
        if what in ('found', 'aim'):
            key = said if what == 'found' else names
            a.wkv[:LABEL] = key.t()
            a.wkv[plain:] *= .4
            a.wkv[:, 0] = 0
        if what == 'seek':
            a.wq_b[h * head:(h + 1) * head] *= .05
            for i in range(n1):                              # what follows a word, not the word: no word finds itself
                a.wq_b[h * head + i, 1 + i] = 1
            a.sink[h] = SINK
        if what == 'aim':
            p = a.compressor
            for half in (0, 1):
                p.wkv[half * head:half * head + LABEL] = names.t()
                p.wkv[half * head + plain:(half + 1) * head] *= .4
            p.wkv[:, 0] = 0
            a.wq_a[1:1 + LABEL] = said.t()
            a.wq_b[h * head:(h + 1) * head] *= .05
            for i in range(LABEL):
                a.wq_b[h * head + i, 1 + i] = 1
        first, n, goal = {'name': (n1 + SECOND, LABEL, names), 'seek': (n1, LABEL, said), 'found': (0, LABEL, said),
                          'aim': (0, LABEL, turn.t() @ content[:LABEL].t()),
                          'copy': (n1 + SECOND, len(copied), turn.t() @ copied.t())}[what]
        for i in range(n):
            a.wo_a[1, i, column + first + i] = 1
        a.wo_b[:, c.o_rank:c.o_rank + n] = goal * QUIET
