"""The training loop: Muon and AdamW, losses by role, stages from recipe.py, resumable at any step."""
import glob
import json
import math
import os
import re
import time
from dataclasses import asdict

import numpy as np
import torch

from . import induction, known, questions as wordings, recipe, tokenizer
from .model import BF, MODE, Config, Nano, count, cross_entropy
from .roles import ASSISTANT, CONTEXT, LEARNED, NAME, REMINDER, USER

ROLE_WEIGHT = torch.tensor([0., .1, 1., .5])          # by role: none, context, learned, practice
SAVE_EVERY = 50
KEEP_EVERY = 500             # steps between the weights that are kept, for the curve over the training


class Muon:
    """Momentum, then the nearest orthogonal matrix by Newton-Schulz; matrices in the last two dimensions."""

    def __init__(self, params, decay=0.1, momentum=0.95):
        self.params, self.decay, self.momentum = params, decay, momentum
        self.buffers = [torch.zeros_like(p) for p in params]

    @staticmethod
    def orthogonal(g, rounds=recipe.NEWTON_SCHULZ):
        x = g.to(BF).reshape(-1, *g.shape[-2:])
        tall = x.shape[1] > x.shape[2]
        if tall:
            x = x.transpose(1, 2)
        x = x / (x.float().norm(dim=(1, 2), keepdim=True).to(BF) + 1e-7)
        for a, b, c in rounds:
            y = torch.bmm(x, x.transpose(1, 2))
            y = b * y + c * torch.bmm(y, y)
            x = a * x + torch.bmm(y, x)
        return (x.transpose(1, 2) if tall else x).reshape(g.shape).float()

    @torch.no_grad()
    def step(self, rate):
        for p, m in zip(self.params, self.buffers):
            if p.grad is None:
                continue
            m.mul_(self.momentum).add_(p.grad)
            o = self.orthogonal(p.grad + self.momentum * m)
            p.mul_(1 - rate * self.decay).add_(o, alpha=-rate * .18 * math.sqrt(max(p.shape[-2:])))
            p.grad = None


def split_parameters(model):
    """(for Muon, for AdamW): matrices of the layers, and everything else."""
    muon, adam = [], []
    for name, p in model.named_parameters():
        leaf = name.rsplit('.', 1)[-1]
        (adam if p.ndim < 2 or leaf in ('embed', 'head', 'ape', 'fn') else muon).append(p)
    return muon, adam


def adam_groups(model, params):
    """With their share of the rate.  AdamW moves every number alike, and those of the head are small and seldom meant: at the full rate the rows of
    rare tokens wander off, and what was never said before is no longer copied."""
    shares = {id(model.head): .1, id(model.embed): .3}
    return [dict(params=[p], weight_decay=.01 if p.ndim >= 2 else 0., factor=shares.get(id(p), 1. if p.ndim >= 2 else 2.)) for p in params]


class Rows:
    """Training rows of one data set, in a fixed order."""

    def __init__(self, work, name, tok):
        self.result = tok.token_to_id('<tool_result>')
        self.verdicts = [tok.token_to_id(word) for word in ('bounded', 'unbounded', 'unclear')]
        self.kinds = np.arange(1, tok.get_vocab_size() + 1) if name in recipe.PRACTICE else kinds(tok)
        self.words = np.ones(tok.get_vocab_size(), bool) if name in recipe.PRACTICE else words_of_questions(tok)
        self.shards = sorted(f for f in glob.glob(os.path.join(work, 'rows', name, '*.npz')) if '.part' not in f)
        if not self.shards:
            raise SystemExit(f'train: no rows of {name} in {work}: run the stage data first')
        shards = [np.load(f) for f in self.shards]
        self.ids, self.roles = (np.concatenate([s[k] for s in shards]) for k in ('ids', 'roles'))
        self.segments, self.spans, self.aims = (np.concatenate([s[k] if k in s else np.zeros_like(s['roles']) for s in shards])
                                                for k in ('segment', 'span', 'aim'))

    def take(self, first, n):
        """n rows from row `first` on, around the end: ids, roles, segments [n, T + 1], and marks, what the model's pointers are taught by,
        of [n, T]: span as data.py says; aim, the function that the answer is about; kind, as `kinds` says; word, the same of the words of
        questions about functions, -1 of what else is in them, else 0; source, the place of what the next token is a copy of, or -1; question, as
        `questions` says; found, the number of the question at its words that stand in a name."""
        index = np.arange(first, first + n) % len(self.ids)
        ids, roles, segments, span, aim = (a[index].astype(np.int64) for a in (self.ids, self.roles, self.segments, self.spans, self.aims))
        said = np.roll(roles, -1, 1) >= LEARNED
        kind = self.kinds[ids]
        word = np.where((aim > 0) & ~said, np.where(kind, kind, -1), 0)
        marks = dict(span=span, aim=aim * said, kind=kind, word=word, source=sources(ids, roles, segments, span, self.verdicts),
                     question=questions(ids, roles, self.result, self.words, span),
                     found=numbers(ids, self.result) * stands(segments, span, kind, word))
        return *map(torch.from_numpy, (ids, roles, segments)), {k: torch.from_numpy(a[:, :-1].copy()) for k, a in marks.items()}


def sources(ids, roles, segments, spans, verdicts=()):
    """For every token of rows [n, T + 1] the place that the next one is a copy of, or -1: of what a call or an answer says, the place in
    the questions and results before, or in a pack's functions, where most of the tokens around it are the same, the last of several;
    single tokens only where there is but one; of a verdict the place of what it is about, which follows in the result what the answer said before."""
    out = np.full(ids.shape, -1)
    for x, role, segment, span, o in zip(ids, roles, segments, spans, out):
        n = len(x)
        turns = np.isin(x, (USER, REMINDER))
        n_turns = np.cumsum(turns)
        opened = n_turns > np.maximum.accumulate(np.where(np.diff(segment, prepend=-1) != 0, n_turns - turns, 0))
        later = np.minimum.accumulate(np.where(span > 0, segment, 999)[::-1])[::-1]      # segments are numbered upwards
        packed = later == segment
        told = (role == CONTEXT) & (opened | packed)
        same = (x[:, None] == x[None]) & (segment[:, None] == segment[None])
        before, behind = np.zeros((2, n + 1, n + 1), np.int16)       # lengths of the runs that end and begin at a pair
        for i in range(n):
            before[i + 1, 1:] = same[i] * (before[i, :-1] + 1)
        for i in range(n - 1, -1, -1):
            behind[i, :-1] = same[i] * (behind[i + 1, 1:] + 1)
        for t in np.nonzero(role >= LEARNED)[0]:
            there = same[t, :t] & (told[:t] if role[t] == LEARNED else True)
            if there.any():
                length = (before[t, :t] + behind[t, :t]) * there
                most = length.max()
                if most > 1 or there.sum() == 1:
                    o[t - 1] = np.nonzero(length == most)[0][-1]
        for t in np.nonzero(np.isin(x, verdicts) & (role == LEARNED))[0]:
            line = o[t - 3]                                    # its last digit in the result
            o[t - 1] = line + 2 if line >= 0 and x[line + 1] == x[t - 1] else -1
    return out


def stands(segments, spans, kind, word):
    """For rows [n, T + 1]: is it a word that stands in a function's name of the same dialogue?"""
    out = np.zeros(word.shape, bool)
    for n in range(len(word)):
        named = spans[n] > NAME
        names = {*zip(segments[n][named], kind[n][named])}
        for t in np.nonzero(word[n] > 0)[0]:
            out[n, t] = (segments[n][t], word[n][t]) in names
    return out


def kinds(tok):
    """int [vocabulary]: from 1 on for tokens of two letters or more, the same for those that differ in case or a common ending alone; else 0."""
    out = np.zeros(tok.get_vocab_size(), np.int64)
    words = {token.lower() for token in tok.get_vocab() if token.isalpha() and len(token) > 1}
    number = {word: i + 1 for i, word in enumerate(sorted(words))}
    for token, i in tok.get_vocab().items():
        if token.isalpha() and len(token) > 1:
            out[i] = number[root(token.lower(), words)]
    return out


def root(word, words):
    """What a word is a form of, when that is one of the words: frees, freed, freeing of free."""
    for ending in ('s', 'es', 'd', 'ed', 'r', 'er', 'ing'):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            for other in (word[:-len(ending)] + 'e', word[:-len(ending)]):
                if other in words and other != word:
                    return root(other, words)
    return word


def words_of_questions(tok):
    """bool [vocabulary]: the tokens of letters that wordings are made of, and what a reminder says of names."""
    out = np.zeros(tok.get_vocab_size(), bool)
    texts = [re.sub(r'\{\w\}', ' ', row) for text in wordings.WORDINGS.values() for row in wordings.side(text, False)]
    for e in tok.encode_batch([*texts, ' '.join(known.SAID)], add_special_tokens=False):
        out[[i for i, token in zip(e.ids, e.tokens) if token.replace('Ġ', '').isalpha()]] = True
    return out


def begins(ids, result):
    """For rows [n, T + 1]: does a question begin here, with its reminder or, where there is none, with the token of a user that is no result?"""
    place = np.arange(ids.shape[1])
    user = (ids == USER) & (np.roll(ids, -1, 1) != result)
    reminded = np.maximum.accumulate(np.where(ids == REMINDER, place, -1), 1)
    asked = np.maximum.accumulate(np.where(user, place, -1), 1)
    before = np.concatenate((np.full((len(ids), 1), -1), asked[:, :-1]), 1)
    return (ids == REMINDER) | user & (reminded <= before)


def numbers(ids, result):
    """For rows [n, T + 1] which question a token belongs to, from 1 on in each row: that begun last."""
    return np.cumsum(begins(ids, result), 1)


def questions(ids, roles, result, words, span=0):
    """For rows [n, T + 1] the number of the question that a token is a word of, its reminder's too but for names of functions (span), from 1 on in
    each row; where the next token is learned, that of the question it answers, negative; else 0.  result: the token that a tool's result begins with, which is no question; words:
    as `words_of_questions` says; a question that has none consists of all its tokens."""
    first = begins(ids, result)
    number, ends = np.cumsum(first, 1), np.cumsum(ids == ASSISTANT, 1)
    began = np.maximum.accumulate(np.where(first, np.arange(ids.shape[1]), 0), 1)
    inside = (number > 0) & (ends == np.take_along_axis(ends, began, 1)) & ~np.isin(ids, (USER, REMINDER)) & (span == 0)
    word = inside & words[ids]
    for n, w, i in zip(number, word, inside):
        w |= i & ~np.isin(n, n[w])
    return np.where(word, number, np.where(np.roll(roles, -1, 1) >= LEARNED, -number, 0))


class Mix:
    """The batches of a stage: its sets by turns, as the stage's list says, each set from where it stood.

    rows: [(set, rows a batch, first row), ...], taken in turns."""

    def __init__(self, work, rows, tok):
        sets = {name: Rows(work, name, tok) for name, _, _ in rows}
        self.turns, seen = [], {}
        for name, batch, first in rows:
            self.turns.append((sets[name], batch, first, seen.get(name, 0)))
            seen[name] = seen.get(name, 0) + batch
        self.stride = [seen[name] for name, _, _ in rows]

    def take(self, step):
        turn, i = divmod(step, len(self.turns))
        rows, batch, first, offset = self.turns[i]
        return rows.take(first + turn * self.stride[i] + offset, batch)


def deciding(tok):
    """float [vocabulary]: how much a learned token weighs.  Those that choose a tool or a sentence, a few among all that is copied,
    weigh recipe.DECIDING times as much."""
    out = torch.ones(tokenizer.VOCABULARY)
    for text in (*tokenizer.LITERALS, 'Done', 'Yes', 'No', 'bounded', 'unbounded', 'unclear'):
        ids = tok.encode(text, add_special_tokens=False).ids
        if len(ids) == 1:
            out[ids[0]] = recipe.DECIDING
    return out


def losses(model, ids, roles, segments, marks, mode, n_learned, weigh):
    """weigh: what `deciding` gives.  (loss, mean loss of the learned tokens, further losses)."""
    h = model(ids[:, :-1].contiguous(), mode, segments[:, :-1].contiguous(), marks)
    target, role = ids[:, 1:].reshape(-1), roles[:, 1:].reshape(-1)
    # the head runs on the positions that weigh most; ties among the rest fall at random
    key = (role >= 2).float() * 2 + (role > 0).float() * torch.rand(role.shape)
    chosen = key.topk(n_learned)[1]
    share = ROLE_WEIGHT[role[chosen]]
    further = {}

    def head_loss(state, wanted):
        l = cross_entropy(model.logits(state[chosen]), wanted[chosen])
        w = share * torch.where(role[chosen] == LEARNED, weigh[wanted[chosen]], 1.)
        return l, (l * w).sum() / share.sum().clamp(min=1)
    if mode['mtp']:
        h, ahead = h
        after = torch.roll(ids, -2, 1)[:, :-1].reshape(-1)
        further['mtp'] = head_loss(ahead, after)[1]
    l, loss = head_loss(h, target)
    total = loss + .3 * further.get('mtp', 0)
    if mode['teach_index']:
        further['index'] = sum(model.index_losses())
        total = total + .3 * further['index']
    points = model.point_losses()
    total = total + .3 * sum(points.values())
    further.update(points)
    learned = l.detach()[role[chosen] >= 2]
    return total, learned.mean().item() if len(learned) else float('nan'), {k: v.item() for k, v in further.items()}


def save(path, **state):
    torch.save(state, path + '.part')
    os.replace(path + '.part', path)


def run(work):
    """Stage `train`: all stages of the recipe, from where the checkpoint stands."""
    torch.set_num_threads(recipe.THREADS)
    torch.manual_seed(recipe.SEED)
    path = os.path.join(work, 'checkpoint.pt')
    model = Nano(Config())
    muon_params, adam_params = split_parameters(model)
    muon = Muon(muon_params)
    adam = torch.optim.AdamW(adam_groups(model, adam_params), lr=1e-3, betas=(.9, .95), eps=1e-12, foreach=True)
    stage_index, step, total_step, tokens, mean = 0, 0, 0, 0, None
    average = None
    if os.path.exists(path):
        old = torch.load(path)
        model.load_state_dict(old['model'])
        adam.load_state_dict(old['adam'])
        for m, o in zip(muon.buffers, old['muon']):
            m.copy_(o)
        stage_index, step, total_step, tokens, mean = (old[k] for k in ('stage', 'step', 'total_step', 'tokens', 'mean'))
        average = old.get('average', average)
    else:
        with torch.no_grad():
            model.head.copy_(model.embed * 0.1)
        induction.apply(model)
    print('parameters %d, used by a token %d' % count(model), flush=True)
    weights = list(model.parameters())
    average = average or [p.detach().clone() for p in weights]
    tok = tokenizer.load(os.path.join(work, 'model', 'tokenizer.json'))
    weigh = deciding(tok)
    log = open(os.path.join(work, 'train.jsonl'), 'a', encoding='utf-8')
    model.train()
    clock = time.time()
    for stage_index in range(stage_index, len(recipe.STAGES)):
        stage = recipe.STAGES[stage_index]
        rows, since = Mix(work, stage['rows'], tok), 0
        mode = dict(MODE, **stage.get('mode', {}))
        while step < stage['steps']:
            batch = rows.take(step)
            ids = batch[0]
            loss, learned, further = losses(model, *batch, mode, recipe.HEAD_ROWS, weigh)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(adam_params, 1.0)
            part = step / stage['steps']
            rate = stage['rate'][0] + (stage['rate'][1] - stage['rate'][0]) * part
            rate *= min(1, (total_step + 1) / recipe.WARM_UP)
            for group in adam.param_groups:
                group['lr'] = rate * group['factor']
            muon.step(rate)
            adam.step()
            adam.zero_grad(set_to_none=True)
            torch._foreach_lerp_(average, [p.detach() for p in weights], 1 - recipe.AVERAGE)
            step, total_step, tokens, since = step + 1, total_step + 1, tokens + ids[:, 1:].numel(), since + ids[:, 1:].numel()
            if learned == learned:
                mean = learned if mean is None else .95 * mean + .05 * learned
            if total_step % 10 == 0:
                row = dict(stage=stage['name'], step=step, total_step=total_step, tokens=tokens, loss=round(loss.item(), 4),
                           learned=round(learned, 4), mean=round(mean or 0, 4), rate=round(rate, 6),
                           speed=round(since / (time.time() - clock)), time=round(time.time()),
                           **{k: round(v, 4) for k, v in further.items() if v},
                           load=[round((b.ffn.load.max() / b.ffn.load.mean()).item(), 2)
                                 for b in model.blocks if b.ffn.load is not None])
                log.write(json.dumps(row) + '\n')
                log.flush()
                clock, since = time.time(), 0
            if total_step % SAVE_EVERY == 0 or step == stage['steps']:
                save(path, model=model.state_dict(), average=average, adam=adam.state_dict(), muon=muon.buffers, config=asdict(model.c),
                     stage=stage_index, step=step, total_step=total_step, tokens=tokens, mean=mean)
            if total_step % KEEP_EVERY == 0:
                save(os.path.join(work, f'step-{total_step:05d}.pt'), model=model.state_dict(), average=average, config=asdict(model.c),
                     tokens=tokens)
        step = 0
        save(os.path.join(work, f'after-{stage["name"]}.pt'), model=model.state_dict(), average=average, config=asdict(model.c), tokens=tokens)
