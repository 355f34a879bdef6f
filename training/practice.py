"""Rows of plain looking back, made of nothing but token ids: where copying and finding are learned before any text.

Three kinds: random tokens that repeat; tables whose label is asked by a whole line (what follows X?); and bags, where a
name is asked for by a few of its tokens in any order, as a function is by what its comment says.
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
    """Entries of a name and other tokens, marked as functions are in a pack; then some tokens of a name among strangers, in any order, and that
    name.

    words: (least, most) other tokens of an entry; asked: the same of a name that is asked for; shared: names have tokens in common, and
    what tells them apart is how many of them, and how rare, stand in the question."""
    stock = rng.sample(tokens, rng.choice([12, 30, 80, 200])) if shared else tokens
    entries, ids, span = [], [], []
    while len(entries) < NAME - 1:
        name = list(dict.fromkeys(rng.choice(stock) for _ in range(rng.choice([1, 2, 2, 3, 4]))))
        own = [rng.choice(stock if shared and rng.random() < .3 else tokens) for _ in range(rng.randint(*words))]
        if len(ids) + len(name) + len(own) + 2 > room * .6 and entries:
            break
        if name in entries:
            continue
        entries.append(name)
        ids += [marks[0], *name, marks[1], *own]
        span += [len(entries)] + [len(entries) + NAME] * len(name) + [len(entries)] * (1 + len(own))
    roles, aim = [NONE] * len(ids), [0] * len(ids)
    among = {}
    for name in entries:
        for t in name:
            among[t] = among.get(t, 0) + 1
    strangers = [t for t in tokens[::7] if t not in among]
    for _ in range(4 * room):
        number = rng.randrange(len(entries))
        name = entries[number]
        ask = rng.sample(name, min(len(name), rng.randint(*asked)))
        ask += [rng.choice(strangers) for _ in range(rng.choice([0, 2, 8, 16]))]
        if shared and rng.random() < .4:
            ask.append(rng.choice(stock))
        rng.shuffle(ask)
        votes = sorted((sum(1 / among[t] for t in ask if t in other), i) for i, other in enumerate(entries))
        if len(ids) + len(ask) + len(name) + 2 > room:
            break
        if votes[-1][1] != number or len(votes) > 1 and votes[-2][0] > votes[-1][0] - .01:
            continue
        ids += [marks[2], *ask, marks[3], *name]
        roles += [NONE] * (len(ask) + 2) + [PRACTICE] * len(name)
        span += [0] * (len(ask) + 2 + len(name))
        aim += [0] + [number + 1] * (len(ask) + len(name)) + [0]
    return ids, roles, span, aim


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
