"""An index made by the program itself: tool results in training are then the product's, byte for byte.

`deepread tool --batch` reads one call a line and answers one line each, so two runs make an index: one
that lists the names, one that asks for the results of as many of them as are wanted.
"""
import json
import os
import pickle
import random
import re
import subprocess

from . import index, sources

NAMES = 1600                # names a repository is asked about, at most
SYMBOL_LINE = re.compile(r'^(\S.*?):(\d+): (\w+) ?(.*)$')
REFERENCE_LINE = re.compile(r'^(\S.*?):(\d+): (call|use) in (.*?): (.*)$')


def batch(binary, model, root, calls):
    """The program's replies to a list of calls."""
    text = ''.join(json.dumps(c) + '\n' for c in calls)
    run = subprocess.run([binary, '-C', root, '--model', model, 'tool', '--batch'], input=text,
                         capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


class ProductRepo(index.Repo):
    """As index.Repo, with the program's own texts."""

    def __init__(self, name, binary, model, root):
        symbols, overview = batch(binary, model, root, [{'name': 'symbols'}, {'name': 'map'}])
        self.name = name
        head = re.match(r'repository .*?, (\d+) files', overview['text'])
        self.files = range(int(head[1]) if head else 0)
        self.map_lines = {}
        for row in overview['text'].split('\n')[1:-1]:
            path, _, names = row.partition(': ')
            self.map_lines[path] = names.split()
        known = [s for s in symbols['symbols'] if index.NAME.fullmatch(s[0]) and 2 <= len(s[0]) <= 48]
        if len(known) > NAMES:
            rng = random.Random(name)
            several = [s for s in known if len(s[2]) > 1]
            known = rng.sample(several, min(len(several), NAMES // 3)) + rng.sample(known, NAMES - NAMES // 3)
        known = {s[0]: s for s in known}
        self.by_name, self.refs, self.texts, self.shown = {}, {}, {}, {}
        asked = [('find_symbol', n) for n in known] + [('find_refs', n) for n in known if known[n][1]]
        replies = batch(binary, model, root, [{'name': t, 'arguments': {'name': n}} for t, n in asked])
        for (tool, n), reply in zip(asked, replies):
            self.texts[tool, n] = reply['text']
            if tool == 'find_symbol':
                rows = [m for m in map(SYMBOL_LINE.match, reply['text'].split('\n')) if m]
                self.by_name[n] = [(m[1], int(m[2]), m[3]) for m in rows]
                self.shown.update({(m[1], int(m[2])): m[4] for m in rows})
            else:
                rows = [m for m in map(REFERENCE_LINE.match, reply['text'].split('\n')) if m]
                self.refs[n] = [(m[1], int(m[2]), m[3] == 'call', m[4]) for m in rows]
        self.by_name = {n: rows for n, rows in self.by_name.items() if rows}
        self.refs = {n: rows for n, rows in self.refs.items() if rows}
        self.names = sorted(self.by_name)
        self.folded = {}
        for n in self.names:
            self.folded.setdefault(n.lower(), []).append(n)

    def line(self, path, number):
        return self.shown[path, number]

    def find_symbol(self, name):
        if ('find_symbol', name) in self.texts:
            return self.texts['find_symbol', name], self.by_name[name]
        return super().find_symbol(name)

    def find_refs(self, name):
        if ('find_refs', name) in self.texts:
            return self.texts['find_refs', name], self.refs.get(name, [])
        return super().find_refs(name)


def run(work, binary, model):
    """Stage `product`: an index by the program for every package, under work/product."""
    os.makedirs(os.path.join(work, 'product'), exist_ok=True)
    for row in sources.table():
        goal = os.path.join(work, 'product', row['package'] + '.pkl')
        root = os.path.join(work, 'src', row['package'])
        if os.path.exists(goal) or not os.path.isdir(root):
            continue
        repo = ProductRepo(row['package'], binary, model, root)
        with open(goal + '.part', 'wb') as f:
            pickle.dump(repo, f)
        os.replace(goal + '.part', goal)
        print(f'product {row["package"]}: {len(repo.names)} names, {len(repo.refs)} with uses', flush=True)
