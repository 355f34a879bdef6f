"""Measures an exported checkpoint in Python, under the constraints the program decodes with.

Each legal continuation is a path through the tokens of names, citations and sentences.  A greedy decoder
writes the expected text exactly when, at every choice, the expected token scores best among the legal
ones; so one forward pass over the expected conversation tells whether the whole turn comes out right.
"""
import random
import re

import torch

from . import data, dialect, dialogues, index, tokenizer
from .reference import Reference

HELD_THREE = ('redis', 'jinja2', 'golang-github-gorilla-mux')


class Trie:
    def __init__(self, sequences=()):
        self.root = {}
        for s in sequences:
            self.add(s)

    def add(self, sequence):
        node = self.root
        for t in sequence:
            node = node.setdefault(t, {})
        node[None] = True

    def steps(self, sequence, terminators):
        """The legal sets along sequence, and at its end with the terminators."""
        node = self.root
        for t in sequence:
            yield {k for k in node if k is not None} | (terminators if None in node else set())
            node = node[t]
        yield {k for k in node if k is not None} | terminators


class Judge:
    def __init__(self, folder):
        self.model = Reference(folder)
        self.tok = tokenizer.load(folder + '/tokenizer.json')
        one = self.one
        call, decline = one('\n\n<'), one('I can only say where a name is defined and where it is used.')
        self.first = {call, decline}                         # before any result nothing can be cited
        self.later = self.first | {one('I found no ')}
        self.names = {}

    def ids(self, text):
        return self.tok.encode(text, add_special_tokens=False).ids

    def one(self, text):
        ids = self.ids(text)
        assert len(ids) == 1, text
        return ids[0]

    def name_trie(self, repo, question):
        if repo.name not in self.names:
            self.names[repo.name] = [self.ids(n) for n in repo.names]
        words = set(re.findall(r'[A-Za-z0-9_$~]+', question))
        return Trie(self.names[repo.name] + [self.ids(w) for w in words])

    def call_choices(self, tool, name, names):
        """[(position, legal set)] relative to the start of the call's tokens."""
        ids, out = self.ids(dialect.call(tool, name=name)), [(0, self.first)]
        at = ids.index(self.one('invoke name="')) + 1
        out.append((at, {self.ids(t)[0] for t in ('find_symbol', 'grep', 'read')}))
        out.append((at + 2, {self.ids(t)[2] for t in ('find_symbol', 'find_refs')}))
        at = ids.index(self.one('" string="true">')) + 1
        out += [(at + i, s) for i, s in enumerate(names.steps(self.ids(name), {self.one('</')}))]
        return ids, out

    def answer_choices(self, text, names, cites, name=None, items=None):
        """cites: the citations of the result; items: [(citation, enclosing)] of a list answer."""
        ids = self.ids(text)
        if name is None:
            return ids, [(0, self.first)]
        out = [(0, self.later | ({self.one('`')} if cites else set()))]
        if text.startswith('I found'):
            out.append((1, {self.ids('I found no ' + w)[1] for w in ('symbol named', 'references to')}))
            lead = len(self.ids(text[:text.index('`') + 1]))
            return ids, out + [(lead + i, s) for i, s in enumerate(names.steps(self.ids(name), {self.ids('`.')[0]}))]
        ends = {self.one('` is defined at ')} | ({self.one('` is used at:')} if items else set())
        out += [(1 + i, s) for i, s in enumerate(names.steps(self.ids(name), ends))]
        at = 2 + len(self.ids(name))
        if items is None:
            cite, stop = re.search(r' is defined at (\S+)\.<', text)[1], {self.ids('.')[0]}
            return ids, out + [(at + i, s) for i, s in enumerate(Trie(map(self.ids, cites)).steps(self.ids(cite), stop))]
        lines = dict.fromkeys(f'\n- {c} in `{e}`' for c, e in items)
        for item in list(lines):
            stop = {self.one('\n- '), 1} if len(lines) > 1 else {1}
            steps = list(Trie(map(self.ids, lines)).steps(self.ids(item), stop))
            if at > 2 + len(self.ids(name)):
                steps[0] = steps[0] | {1}                     # the list may end here, too early
            out += [(at + i, s) for i, s in enumerate(steps[:-1])]
            at += len(self.ids(item))
            del lines[item]
        return ids, out

    def turn(self, repo, pack, turn, question):
        """{part: bool} for one question: tool, symbol, answer."""
        texts = [t for t, _ in turn]
        names = self.name_trie(repo, question)
        ids = self.ids(dialect.BOS + dialect.system(pack) + texts[0])
        checks = []
        if len(turn) == 2:
            e, choices = self.answer_choices(texts[1], names, [])
            checks += [('tool', len(ids) + at, e[at], legal) for at, legal in choices]
            ids = ids + e
        else:
            tool = re.search(r'invoke name="(\w+)"', texts[1])[1]
            name = re.search(r'string="true">(.*?)</', texts[1])[1]
            e, choices = self.call_choices(tool, name, names)
            checks += [('tool' if i < 3 else 'symbol', len(ids) + at, e[at], legal) for i, (at, legal) in enumerate(choices)]
            ids = ids + e + self.ids(texts[2])
            result = re.search(r'<tool_result>(.*)</tool_result>', texts[2], re.S)[1]
            cites = re.findall(r'^(\S+:\d+): ', result, re.M)
            items = re.findall(r'\n- (\S+) in `(.*?)`', texts[3]) if 'is used at:' in texts[3] else None
            e, choices = self.answer_choices(texts[3], names, cites, name, items)
            checks += [('answer', len(ids) + at, e[at], legal) for at, legal in choices]
            ids = ids + e
        logits = self.model.logits(ids)
        out, wrong = {}, None
        if len(turn) == 4 and items:                          # every line listed, in whatever order
            ends = [(at, token) for part, at, token, legal in checks if part == 'answer' and {1, self.one('\n- ')} <= legal]
            out['lines'] = all(logits[at - 1, token] > logits[at - 1, 1] for at, token in ends)
            ends = {self.one('` is defined at '), self.one('` is used at:')}
            out['lines'] &= all(logits[at - 1, token] >= logits[at - 1, sorted(ends & legal)].max()
                                for part, at, token, legal in checks if part == 'answer' and token in ends)
        for part, at, token, legal in checks:
            assert token in legal, (part, self.tok.id_to_token(token), texts)
            legal = sorted(legal)
            best = legal[logits[at - 1, legal].argmax().item()]
            out[part] = out.get(part, True) and best == token
            if best != token and wrong is None:
                wrong = f'{part}: {self.tok.id_to_token(best)!r} for {self.tok.id_to_token(token)!r}'
        return out, wrong


def measure(folder, work, n, seed=99, held=True, names=HELD_THREE, show=True, max_lines=(0, 0, 4, 12, 24)):
    """Prints how many of n first-turn questions a task come out exactly right."""
    judge, rng = Judge(folder), random.Random(seed)
    words = data.words_of([index.load(work, 'libuv1')])
    tellers = [dialogues.Teller(index.load(work, p), rng, dialogues.Style(held), words) for p in names]
    table = {}
    for task in ('define', 'uses', 'absent', 'decline'):
        for i in range(n if task in ('define', 'uses') else max(4, n // 4)):
            teller = tellers[i % len(tellers)]
            turn = getattr(teller, task)()
            while sum(len(t) for t, _ in turn) > 2600:
                turn = getattr(teller, task)()
            question = turn[0][0][len(dialect.USER):].split(dialect.ASSISTANT)[0]
            out, wrong = judge.turn(teller.repo, teller.pack(rng.choice(max_lines)), turn, question)
            row = table.setdefault(task, {'n': 0, 'exact': 0})
            row['n'] += 1
            row['exact'] += all(good for part, good in out.items() if part != 'lines')
            row['listed'] = row.get('listed', 0) + (out.get('lines', False) and out['tool'] and out['symbol'])
            for part, good in out.items():
                row[part] = row.get(part, 0) + good
            if wrong and show:
                print(f'  {task} {teller.repo.name}: {question!r} {wrong}', flush=True)
    for task, row in table.items():
        print(task, row, flush=True)
    return table
