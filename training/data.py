"""Texts for the tokenizer and rows of token ids for training, made once and kept on disk.

A row is T + 1 ids with one role byte each: 0 unlearned, 1 context, 2 learned text (call or answer),
3 practice.  Rows hold one conversation each; what is left over is padding with role 0.
"""
import os
import random
import re
from multiprocessing import Pool

import numpy as np

from . import dialect, dialogues, index, questions, sources, tokenizer

NONE, CONTEXT, LEARNED, PRACTICE = 0, 1, 2, 3
PAD_ID = 2


def packages(work, split, made_by='index'):
    return [r['package'] for r in sources.table() if r['split'] == split
            and os.path.exists(os.path.join(work, made_by, r['package'] + '.pkl'))]


def words_of(repos):
    """Pieces of real names (cut at `_` and humps), to invent names from."""
    out = set()
    for repo in repos:
        for name in repo.names:
            out.update(p.lower() for p in re.findall(r'[A-Z]?[a-z]{2,9}', name))
    return sorted(out)


def tokenizer_texts(work, seed=11):
    rng = random.Random(seed)
    for package in packages(work, 'train'):
        repo = index.load(work, package)
        if len(repo.names) < 50:
            continue
        for name in rng.sample(repo.names, min(1200, len(repo.names))):
            yield repo.find_symbol(name)[0]
            if name in repo.refs:
                yield repo.find_refs(name)[0]
        for path in rng.sample(sorted(repo.files), min(40, len(repo.files))):
            yield '\n'.join(repo.files[path][:120])
        teller = dialogues.Teller(repo, rng, dialogues.Style(False), [])
        for _ in range(6):
            for text, _ in dialogues.conversation(teller, 8, 6):
                for piece in re.split('|'.join(map(re.escape, dialect.SPECIAL)), text):
                    yield piece
    for _ in range(300):                                     # the frozen texts must end up in few tokens
        for group in (questions.DEFINE_TRAIN, questions.USES_TRAIN, questions.QUALIFIED_TRAIN, questions.DECLINE_TRAIN):
            yield '\n'.join(re.sub(r'\{\w\}', 'x', w) for w in group)
        yield from tokenizer.LITERALS


def encode(tok, segments):
    ids, roles = [], []
    for (text, role), e in zip(segments, tok.encode_batch([t for t, _ in segments], add_special_tokens=False)):
        ids += e.ids
        roles += [CONTEXT if role == 'ctx' else LEARNED] * len(e.ids)
    return ids, roles


def repeat_practice(rng, vocabulary, room):
    """Random tokens, repeated: the plainest form of looking back."""
    block = [rng.randrange(len(dialect.SPECIAL), vocabulary) for _ in range(rng.randint(8, 60))]
    ids, roles = [0] + block, [NONE] * (len(block) + 1)
    while len(ids) + len(block) < room:
        ids += block
        roles += [NONE] + [PRACTICE] * (len(block) - 1)
    return ids, roles


def make_row(tok, rng, tellers, weights, words, length, practice, bare, long_pack):
    """One row: a conversation cut where it is full, or practice."""
    u = rng.random()
    if u < practice:
        if rng.random() < .5:
            ids, roles = repeat_practice(rng, tok.get_vocab_size(), length + 1)
        else:
            ids, roles = [], []
            while len(ids) < length:
                a, b = encode(tok, dialogues.table_practice(rng, words))
                ids, roles = ids + a, roles + b
    else:
        teller = rng.choices(tellers, weights)[0]
        u = rng.random()
        lines = rng.choice([18, 22, 24, 26]) if u < long_pack else rng.choice([2, 4, 8, 12]) if u < .7 else 0
        segments = dialogues.conversation(teller, length // 70, lines, system=rng.random() >= bare)
        ids, roles = encode(tok, segments)
    ids, roles = ids[:length + 1], roles[:length + 1]
    if LEARNED not in roles and PRACTICE not in roles:       # the map alone filled the row
        return make_row(tok, rng, tellers, weights, words, length, practice, bare, 0)
    fill = length + 1 - len(ids)
    return ids + [PAD_ID] * fill, roles + [NONE] * fill


_STATE = {}


def _start(work, token_file, made_by):
    repos = [index.load(work, p, made_by) for p in packages(work, 'train', made_by)]
    repos = [r for r in repos if len(r.names) > 200 and len(r.refs) > 100]
    _STATE['tok'] = tokenizer.load(token_file)
    _STATE['words'] = words_of(repos)
    _STATE['repos'] = repos


def _shard(job):
    goal, seed, n_rows, length, practice, bare, long_pack = job
    rng = random.Random(seed)
    style = dialogues.Style(False)
    tellers = [dialogues.Teller(r, rng, style, _STATE['words']) for r in _STATE['repos']]
    weights = [len(t.strong) ** .5 for t in tellers]
    rows = [make_row(_STATE['tok'], rng, tellers, weights, _STATE['words'], length, practice, bare, long_pack)
            for _ in range(n_rows)]
    np.savez(goal + '.part.npz', ids=np.array([a for a, _ in rows], np.uint16),
             roles=np.array([b for _, b in rows], np.uint8))
    os.replace(goal + '.part.npz', goal)
    return goal


def run(work, token_file, name, n_rows, length, practice=0.0, bare=0.0, long_pack=0.1, seed=1, shard=400,
        made_by='index'):
    """Stage `data`: shards of rows under work/rows/NAME, those already made skipped."""
    folder = os.path.join(work, 'rows', name)
    os.makedirs(folder, exist_ok=True)
    jobs = [(os.path.join(folder, f'{i:04d}.npz'), seed * 100003 + i, shard, length, practice, bare, long_pack)
            for i in range(-(-n_rows // shard))]
    jobs = [j for j in jobs if not os.path.exists(j[0])]
    if jobs:
        with Pool(2, _start, (work, token_file, made_by)) as pool:
            for goal in pool.imap(_shard, jobs):
                print('rows', goal, flush=True)
