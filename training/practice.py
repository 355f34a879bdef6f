"""Rows of plain looking back, made of nothing but token ids: where copying and finding are learned before any text.

Three kinds: random tokens that repeat; tables whose label is asked by a whole line (what follows X?); and bags, where a
label is asked by a few of its words in any order, as a function is by what its comment says.
"""
import os
import random

import numpy as np

from .roles import ASSISTANT, NAME, NONE, PAD, PRACTICE, USER


def repeat(rng, tokens, room):
    """One run of random tokens again and again."""
    run = [rng.choice(tokens) for _ in range(rng.randint(8, 60))]
    ids, roles = list(run), [NONE] * len(run)
    while len(ids) + len(run) <= room:
        ids += run
        roles += [NONE] + [PRACTICE] * (len(run) - 1)
    return ids, roles, [0] * len(ids), [0] * len(ids)


def label_of(rng, tokens):
    return [rng.choice(tokens) for _ in range(rng.choice([1, 2, 2, 3, 3, 4]))]


def table(rng, tokens, marks, room):
    """Lines of key and value; then keys, each followed by its value."""
    n = rng.randint(4, max(5, room // 40))
    lines = [(label_of(rng, tokens), label_of(rng, tokens)) for _ in range(n)]
    ids, roles = [], []
    for key, value in lines:
        ids += [marks[0], *key, marks[1], *value]
    roles += [NONE] * len(ids)
    while True:
        key, value = rng.choice(lines)
        if len(ids) + len(key) + len(value) + 2 > room:
            return ids, roles, [0] * len(ids), [0] * len(ids)
        ids += [marks[2], *key, marks[3], *value]
        roles += [NONE] * (len(key) + 2) + [PRACTICE] * len(value)


def bags(rng, tokens, marks, room, words, asked, shared):
    """Entries of a label and its words; then a few words of an entry, in any order, and its label.

    words, asked: (least, most) of an entry and of a question; shared: words may stand in several entries and the
    question among strangers, so that one word alone does not tell.  An entry is marked as a function is in a pack."""
    stock = rng.sample(tokens, rng.choice([40, 80, 160, 400]) if shared else min(len(tokens), room))
    entries, ids, span, used = [], [], [], 0
    while len(ids) < room * .5 and len(entries) < NAME - 1:
        n = rng.randint(*words)
        own = rng.sample(stock, min(n, len(stock))) if shared else stock[used:used + n]
        used += n
        label = label_of(rng, tokens)[:rng.choice([1, 1, 2, 4])]
        if len(ids) + len(label) + len(own) + 2 > room * .8 and entries:
            break
        ids += [marks[0], *label, marks[1], *own]
        number = len(entries) + 1
        span += [number] + [number + NAME] * len(label) + [number] * (1 + len(own))
        if shared and rng.random() < .3:                   # a part of the label may be what is asked
            own = own + label
        entries.append((label, own))
    roles, aim = [NONE] * len(ids), [0] * len(ids)
    while True:
        number = rng.randrange(len(entries))
        label, own = entries[number]
        ask = rng.sample(own, min(len(own), rng.randint(*asked)))
        if shared:
            ask += [rng.choice(stock) for _ in range(rng.choice([0, 0, 1, 2]))]
            rng.shuffle(ask)
        if len(ids) + len(ask) + len(label) + 2 > room:
            return ids, roles, span, aim
        ids += [marks[2], *ask, marks[3], *label]
        roles += [NONE] * (len(ask) + 2) + [PRACTICE] * len(label)
        span += [0] * (len(ask) + 2 + len(label))
        aim += [0] + [number + 1] * (len(ask) + len(label)) + [0]


def make_row(rng, tokens, marks, length, bag_share, words, asked, shared):
    kind, size = rng.random(), length + 1
    if kind < bag_share:
        made = bags(rng, tokens, marks, size, words, asked, shared)
    elif kind < bag_share + (1 - bag_share) / 2:
        made = repeat(rng, tokens, size)
    else:
        made = table(rng, tokens, marks, size)
    return [(column + [fill] * (size - len(column)))[:size] for column, fill in zip(made, (PAD, NONE, 0, 0))]


def run(work, name, vocabulary, first, n_rows, length, seed, shard=1000, **bag):
    """Stage `data` for a practice set: shards under work/rows/NAME.  Tokens below `first` are the special ones."""
    folder = os.path.join(work, 'rows', name)
    os.makedirs(folder, exist_ok=True)
    tokens, marks = list(range(first, vocabulary)), [first, first + 1, USER, ASSISTANT]
    for i in range(-(-n_rows // shard)):
        goal = os.path.join(folder, f'{i:04d}.npz')
        if os.path.exists(goal):
            continue
        rng = random.Random(f'{seed} {i}')
        rows = [make_row(rng, tokens, marks, length, **bag) for _ in range(shard)]
        columns = [np.array(c, np.uint16 if i == 0 else np.uint8) for i, c in enumerate(zip(*rows))]
        np.savez(goal + '.part.npz', **dict(zip(('ids', 'roles', 'span', 'aim'), columns)))
        os.replace(goal + '.part.npz', goal)
