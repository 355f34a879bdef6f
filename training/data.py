"""Texts for the tokenizer and rows of token ids for training, made once and kept on disk.

A row is T + 1 ids, each with a role (roles.py) and a segment: the number of the dialogue in the row that it belongs to, PADDING
behind the last.  Dialogues begin at multiples of ALIGN, so that a compressed entry never spans two, and nothing attends from one
to another.  In rows about functions of a pack, span is the number of the function that a token
is in (NAME more where its name stands), aim the number of the function that a question is about, at its words and where the answer
says the name.
"""
import os
import random
import re
from multiprocessing import Pool

import numpy as np

from . import corpus, dialect, dialogues, product, questions, reading, sources, tokenizer
from .roles import CONTEXT, LEARNED, NONE, PAD, PADDING, PRACTICE

ROLES = {'ctx': CONTEXT, 'call': LEARNED, 'ans': LEARNED, 'none': NONE}
ALIGN = 128


def words_of(packages, tok=None):
    """Pieces to invent names from: of real names (cut at `_` and humps) and, as many, the tokenizer's own: what is never copied is soon copied wrong."""
    out = set()
    for package in packages:
        for name in package.names:
            out.update(p.lower() for p in re.findall(r'[A-Z]?[a-z]{2,9}', name))
    tokens = sorted(t for t in tok.get_vocab() if t.isascii() and t.isalpha() and len(t) > 1) if tok else []
    return sorted(out) + tokens * max(1, round(len(out) / max(len(tokens), 1)))


def tokenizer_texts(work, seed=11):
    """Source of all languages in like amounts, and our own texts."""
    rng = random.Random(seed)
    rows = [r for r in sources.table() if r['split'] == 'train' and os.path.isdir(os.path.join(work, 'src', r['package']))]
    count = {}
    for row in rows:
        count[row['language']] = count.get(row['language'], 0) + 1
    for row in rows:
        budget = min(900_000, 3_000_000 // count[row['language']])
        for _, text in corpus.sample(os.path.join(work, 'src', row['package']), 200, rng):
            yield text[:12000]
            budget -= min(len(text), 12000)
            if budget < 0:
                break
    for _ in range(1200):                                    # the frozen texts must end up in few tokens
        yield from tokenizer.LITERALS
    for _ in range(400):
        for wordings in questions.WORDINGS.values():
            yield re.sub(r'\{\w\}', 'x', '\n'.join(questions.side(wordings, False)))


def encode(tok, parts):
    """(ids, roles) of [(text, role)]."""
    ids, roles = [], []
    for (_, role), e in zip(parts, tok.encode_batch([t for t, _ in parts], add_special_tokens=False)):
        ids += e.ids
        roles += [ROLES[role]] * len(e.ids)
    return ids, roles


def repeat_practice(rng, vocabulary, room):
    """Random tokens, repeated: the plainest form of looking back."""
    block = [rng.randrange(len(dialect.SPECIAL), vocabulary) for _ in range(rng.randint(8, 60))]
    ids, roles = [0] + block, [NONE] * (len(block) + 1)
    while len(ids) + len(block) < room:
        ids += block
        roles += [NONE] + [PRACTICE] * (len(block) - 1)
    return ids, roles


def tool_alone(text, role):
    """A call up to its first argument; an answer as it is."""
    end = text.find('">\n<') + 4
    return [(text[:end], role), (dialect.EOS, 'none')] if end > 3 else [(text, role)]


def tool_dialogue(tok, rng, teller, room, settings):
    """(ids, roles) of one conversation in whole turns, at most `room` long; None when not even one fits."""
    u = rng.random()
    lines = rng.choice([18, 22, 26, 30]) if u < settings['long_map'] else rng.choice([2, 4, 8, 12]) if u < .8 else 0
    bare = rng.random() < settings['bare']
    if room < 800 and not bare:
        lines = min(lines, 6)
    cut = rng.random() < settings['cut']
    turns = [teller.turn(settings.get('skills')) for _ in range(max(1, room // (20 if cut else 80)))]
    if cut:
        turns = [dialogues.Turn(turn[:2], turn.keep) for turn in turns]
    turns = dialogues.disguise(rng, turns, teller.words)
    if cut and rng.random() < settings['tool_only']:
        turns = [[turn[0], *tool_alone(*turn[1])] for turn in turns]
    head = '' if bare else dialect.system(teller.map(lines))
    ids, roles = encode(tok, [(dialect.BOS + head, 'ctx')])
    n = 0
    for turn in turns:
        a, b = encode(tok, turn)
        if len(ids) + len(a) <= room:
            ids, roles, n = ids + a, roles + b, n + 1
    return (ids, roles) if n else None


def make_row(tok, rng, tellers, weights, readers, reader_weights, words, length, settings):
    """One row, its columns ids, roles, segment, span, aim: dialogues one behind the other until no other fits."""
    row, empty = [[], [], [], [], []], (PAD, NONE, PADDING, 0, 0)
    number = missed = 0

    def extend(columns):
        for column, more in zip(row, columns):
            column += more

    def fill(n):
        extend([value] * n for value in empty)
    whole = rng.random() < settings['whole']                  # the row is one dialogue
    reads = rng.random() < settings['reading']
    while length + 1 - len(row[0]) >= settings['least']:
        room = length + 1 - len(row[0])
        u = rng.random()
        if u < settings['practice']:
            if rng.random() < .5:
                made = repeat_practice(rng, tok.get_vocab_size(), min(room, rng.choice([256, 384, 512])))
            else:
                made = encode(tok, dialogues.table_practice(rng, words))
        elif reads:
            made = rng.choices(readers, reader_weights)[0].dialogue(tok, rng, min(room, rng.choice(settings['read_lengths'])), words, settings['names'])
        else:
            size = room if whole else min(room, rng.choice([384, 512, 640, 896]))
            made = tool_dialogue(tok, rng, rng.choices(tellers, weights)[0], size, settings)
        if not made or len(made[0]) > room or not (LEARNED in made[1] or PRACTICE in made[1]):
            missed += 1
            if missed < 12:
                continue
            if row[0]:                                        # rather padding than for ever
                break
            reads, missed = False, 0
            continue
        n = len(made[0])
        ids, roles, span, aim = (*made, [0] * n, [0] * n)[:4]
        extend((ids, roles, [number] * n, span, aim))
        number += 1
        fill(min(-len(row[0]) % ALIGN, length + 1 - len(row[0])))
    fill(length + 1 - len(row[0]))
    return row


# practice: share of plain copying; bare: of dialogues without system text; long_map: of those that open with a long map; cut: of those
# whose turns end with their first call (which tool a question wants is learned from many questions); tool_only: of those, in which calls end
# with the tool; whole: of rows that are one dialogue; reading: of rows that are packs and questions about their functions; names: of the packs
# only the names of their functions
SETS = {
    'early': dict(n_rows=200, length=1024, practice=.25, bare=.5, long_map=.03, whole=.3, seed=1),
    'main': dict(n_rows=4000, length=1024, practice=.12, bare=.12, long_map=.1, whole=.4, seed=2),
    'asks': dict(n_rows=11600, length=1024, practice=.2, bare=.8, long_map=0., cut=1., tool_only=.35, whole=1., seed=7),
    'read1': dict(n_rows=4000, length=1024, reading=1., read_lengths=(512, 640, 1024), seed=3),
    'names': dict(n_rows=3800, length=1024, reading=1., names=True, read_lengths=(512, 1024), seed=8),
    'long': dict(n_rows=2200, length=2048, practice=.08, reading=.45, read_lengths=(1024, 2048, 2048), long_map=.5, whole=.3, seed=4),
    'read4': dict(n_rows=120, length=4096, reading=.8, read_lengths=(2048, 4096, 4096), long_map=.7, whole=.2, seed=5),
}
DEFAULTS = dict(practice=0., bare=0., long_map=.15, cut=0., tool_only=0., whole=.4, reading=0., names=False, read_lengths=(1024,), least=260)
_STATE = {}


def _start(work, token_file, seed):
    packages = [product.load(work, p) for p in product.there(work)]
    packages = [p for p in packages if len(p.names) > 100 and p.asked.get('find_symbol')]
    rng = random.Random(seed)
    _STATE['tok'] = tokenizer.load(token_file)
    _STATE['words'] = words_of(packages, _STATE['tok'])
    _STATE['tellers'] = [dialogues.Teller(p, rng, False, _STATE['words']) for p in packages]
    _STATE['readers'] = reading.readers(work)
    by_name = {t.p.name: t for t in _STATE['tellers']}
    for reader in _STATE['readers']:
        reader.teller = by_name.get(reader.name)


def _shard(job):
    goal, seed, n_rows, length, settings = job
    rng = random.Random(seed)
    for teller in _STATE['tellers']:
        teller.rng = rng
    weights = [len(t.strong) ** .5 for t in _STATE['tellers']]
    readers = _STATE['readers']
    reader_weights = [len(r.functions) ** .6 for r in readers]
    if not readers:
        settings = {**settings, 'reading': 0.}
    rows = [make_row(_STATE['tok'], rng, _STATE['tellers'], weights, readers, reader_weights, _STATE['words'], length, settings)
            for _ in range(n_rows)]
    columns = [np.array(c, np.uint8 if i else np.uint16) for i, c in enumerate(zip(*rows))]
    np.savez(goal + '.part.npz', **dict(zip(('ids', 'roles', 'segment', 'span', 'aim'), columns)))
    os.replace(goal + '.part.npz', goal)
    return goal


def _plan(name):
    settings = {**DEFAULTS, **SETS[name]}
    return [settings.pop(k) for k in ('n_rows', 'length', 'seed')] + [min(200, 204_800 // SETS[name]['length']), settings]


def run(work, token_file, name, first=0, last=None, processes=2):
    """Stage `data`: shards of rows of a set under work/rows/NAME, those already made skipped."""
    n_rows, length, seed, shard, settings = _plan(name)
    folder = os.path.join(work, 'rows', name)
    os.makedirs(folder, exist_ok=True)
    shards = range(first, min(-(-n_rows // shard), last or n_rows))
    jobs = [(os.path.join(folder, f'{i:04d}.npz'), seed * 100003 + i, shard, length, dict(settings)) for i in shards]
    jobs = [j for j in jobs if not os.path.exists(j[0])]
    if jobs:
        with Pool(processes, _start, (work, token_file, seed)) as pool:
            for goal in pool.imap(_shard, jobs):
                print('rows', goal, flush=True)
