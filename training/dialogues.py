"""Conversations about one repository: questions, tool calls, tool results and answers.

A conversation is a list of (text, role): `ctx` is read, `call` and `ans` are learned.  Half of the
conversations have their names, path parts and line numbers replaced, the same way from end to end, so
that nothing about a repository can be remembered.
"""
import random
import re

from . import dialect, questions
from .index import RANK, RESULT_LINES

KIND_WORDS = {'function', 'method', 'class', 'struct', 'union', 'enum', 'interface', 'trait', 'type',
              'macro', 'constant', 'variable', 'field', 'member', 'module', 'prototype'}
SYLLABLES = ('al be con der ex fo gen hash in join ker list map node op parse query ring set tab use val work x y buf '
             'ctx str len num key init free copy get put add del cmp max min utf fd log io net tcp sys mem page row '
             'col qu zor vex lum dra fin tor bel mi no ka sho rel ump').split()


class Style:
    """Draws wordings from the training lists, or from the held-out ones."""

    def __init__(self, held):
        tail = 'HELD' if held else 'TRAIN'
        self.held = held
        self.define, self.uses, self.qualified, self.decline, self.tasks = (
            getattr(questions, f'{k}_{tail}') for k in ('DEFINE', 'USES', 'QUALIFIED', 'DECLINE', 'TASKS'))


def invent(rng, words):
    """A random identifier; words are pieces of the training repositories' own names."""
    def piece():
        u = rng.random()
        if u < .55 and words:
            return rng.choice(words)
        if u < .85:
            return ''.join(rng.choice(SYLLABLES) for _ in range(rng.randint(1, 2)))
        return ''.join(rng.choice('abcdefghijklmnopqrstuvwxyz') for _ in range(rng.randint(2, 7)))
    parts = [piece() for _ in range(rng.choice([1, 2, 2, 2, 3, 3, 4]))]
    u = rng.random()
    if u < .4:
        name = '_'.join(parts)
    elif u < .6:
        name = parts[0] + ''.join(p.capitalize() for p in parts[1:])
    elif u < .8:
        name = ''.join(p.capitalize() for p in parts)
    elif u < .9:
        name = '_'.join(parts).upper()
    else:
        name = ''.join(parts)
    if rng.random() < .1:
        name += str(rng.randint(0, 99))
    if rng.random() < .04:
        name = '_' + name
    return name


def mistype(rng, template):
    """One slip of the fingers in a word of the wording; never inside a {field}."""
    words = [m for m in re.finditer(r'(?<![{\w])[A-Za-z]{4,}(?![\w}])', template)]
    if not words:
        return template
    m = rng.choice(words)
    w, i = m[0], rng.randrange(1, len(m[0]) - 1)
    w = rng.choice([w[:i] + w[i + 1] + w[i] + w[i + 2:], w[:i] + w[i + 1:], w[:i] + w[i] + w[i:]])
    return template[:m.start()] + w + template[m.end():]


def ask(rng, template, name, kind='function', **fields):
    """Fills a wording in: backticks, parentheses, slips and manners vary."""
    u, v = rng.random(), rng.random()
    if u < .08:
        template = mistype(rng, template)
    shown = name
    if kind in ('function', 'method', 'macro') and rng.random() < .15:
        shown += '()'
    if rng.random() < .25:
        shown = f'`{shown}`'
    text = template.format(x=shown, **fields)
    if v < .04:
        text = rng.choice(['please ', 'hey, ', 'ok, ', 'quick question: ', 'now ', 'and ', 'so ']) + text
    elif v < .07:
        text = text.lower().replace(shown.lower(), shown) if shown.lower() in text.lower() and not fields else text
    elif v < .10:
        text = text.rstrip('?.') + rng.choice(['', ' please', ', please', ' ??', '?', '.'])
    return text


def qualify(rng, rows):
    """(target, fields): a row that a kind, folder or file singles out, first of those that fit; or None."""
    target = rng.choice(rows)
    path, _, kind = target
    choices = []
    folder = path.rsplit('/', 1)[0] + '/' if '/' in path else ''
    if kind in KIND_WORDS and sum(r[2] == kind for r in rows) < len(rows):
        choices.append(({'k': kind}, lambda r: r[2] == kind))
    if folder and any(not r[0].startswith(folder) for r in rows):
        shown = folder if rng.random() < .5 else folder[:-1]
        choices.append(({'d': shown}, lambda r: r[0].startswith(folder)))
    if any(r[0] != path for r in rows):
        base = path.rsplit('/', 1)[-1]
        shown = path
        if rng.random() < .4 and all(r[0] == path or r[0].rsplit('/', 1)[-1] != base for r in rows):
            shown = base
        choices.append(({'f': shown}, lambda r: r[0] == path))
    if not choices:
        return None
    fields, fits = rng.choice(choices)
    return next(r for r in rows if fits(r)), fields


class Teller:
    """Makes turns about one repository."""

    def __init__(self, repo, rng, style, words):
        self.repo, self.rng, self.style, self.words = repo, rng, style, words
        self.strong = [n for n in repo.names if RANK.get(repo.by_name[n][0][2], 0) == 0]
        self.double = [n for n in repo.names if len(repo.by_name[n]) > 1]
        self.called = [n for n in self.strong if n in repo.refs]
        self.by_use = None

    def define(self, want_double=None):
        rng, repo = self.rng, self.repo
        if want_double is None:
            want_double = rng.random() < .5
        pool = self.double if want_double and self.double else self.strong
        if rng.random() < .1:
            pool = repo.names
        name = rng.choice(pool or repo.names)
        text, rows = repo.find_symbol(name)
        kind, target, fields, wording = rows[0][2], rows[0], {}, rng.choice(self.style.define)
        if len(rows) > 1 and rng.random() < .55:
            chosen = qualify(rng, rows)
            if chosen:
                target, fields = chosen
                key = next(iter(fields))
                wording = rng.choice([w for w in self.style.qualified if '{' + key + '}' in w])
                kind = target[2]
        elif len(rows) == 1 and rng.random() < .12:           # a qualifier that only agrees
            path, _, k = rows[0]
            key = rng.choice('kdf')
            if key == 'k' and k in KIND_WORDS:
                fields = {'k': k}
            elif key == 'd' and '/' in path:
                fields = {'d': path.rsplit('/', 1)[0]}
            elif key == 'f':
                fields = {'f': path}
            if fields:
                wording = rng.choice([w for w in self.style.qualified if '{' + next(iter(fields)) + '}' in w])
        question = ask(rng, wording, name, kind, **fields)
        return [(dialect.user(question), 'ctx'), (dialect.call('find_symbol', name=name), 'call'),
                (dialect.tool_result(text), 'ctx'), (dialect.found(name, target[0], target[1]), 'ans')]

    def choice(self):
        """One name with several definitions, put together from unrelated ones: choosing needs practice."""
        rng, repo = self.rng, self.repo
        name = rng.choice(self.strong) if rng.random() < .5 else invent(rng, self.words)
        rows = {}
        for _ in range(rng.choice([2, 2, 3, 4, 6])):
            other = rng.choice(self.strong if rng.random() < .8 else repo.names)
            path, line, kind = rng.choice(repo.by_name[other])
            text = re.sub(r'(?<![\w$])' + re.escape(other) + r'(?![\w$])', name, repo.line(path, line))
            rows[(path, line, kind)] = text
        order = sorted(rows, key=lambda r: (RANK.get(r[2], 0), r[0].encode(), r[1]))
        target, fields, wording = order[0], {}, rng.choice(self.style.define)
        chosen = qualify(rng, order) if rng.random() < .75 else None
        if chosen:
            target, fields = chosen
            wording = rng.choice([w for w in self.style.qualified if '{' + next(iter(fields)) + '}' in w])
        text = '\n'.join(f'{p}:{n}: {k} {rows[(p, n, k)]}' for p, n, k in order)
        return [(dialect.user(ask(rng, wording, name, target[2], **fields)), 'ctx'),
                (dialect.call('find_symbol', name=name), 'call'),
                (dialect.tool_result(text), 'ctx'), (dialect.found(name, target[0], target[1]), 'ans')]

    def uses(self):
        rng, repo = self.rng, self.repo
        name = rng.choice(self.called or self.strong)
        for _ in range(4):                                    # short lists more often: they fit more turns
            if len(repo.refs.get(name, ())) <= 4 or rng.random() < .55:
                break
            name = rng.choice(self.called or self.strong)
        text, rows = repo.find_refs(name)
        question = ask(rng, rng.choice(self.style.uses), name)
        end = dialect.used(name, [(p, n, e) for p, n, _, e in rows]) if rows else dialect.no_references(name)
        return [(dialect.user(question), 'ctx'), (dialect.call('find_refs', name=name), 'call'),
                (dialect.tool_result(text), 'ctx'), (end, 'ans')]

    def absent(self):
        """A name that is not there: a slip in a real one, or an invented one."""
        rng, repo = self.rng, self.repo
        name = rng.choice(self.strong or repo.names)
        u = rng.random()
        if u < .3:
            name = name.lower() if name.lower() != name else name.upper()
        elif u < .5:
            name = name + rng.choice(['s', '2', '_t', '_new', 'Impl', 'Ex'])
        elif u < .6:
            name = name[:max(3, len(name) // 2)].rstrip('_')
        else:
            name = invent(rng, self.words)
        if rng.random() < .5:
            text, rows = repo.find_symbol(name)
            if rows:
                return self.define()
            return [(dialect.user(ask(rng, rng.choice(self.style.define), name)), 'ctx'),
                    (dialect.call('find_symbol', name=name), 'call'),
                    (dialect.tool_result(text), 'ctx'), (dialect.no_symbol(name), 'ans')]
        if name in repo.refs:
            return self.uses()
        return [(dialect.user(ask(rng, rng.choice(self.style.uses), name)), 'ctx'),
                (dialect.call('find_refs', name=name), 'call'),
                (dialect.tool_result(f'no references to {name}'), 'ctx'), (dialect.no_references(name), 'ans')]

    def decline(self):
        rng = self.rng
        names = self.strong or self.repo.names
        wording = rng.choice(self.style.decline)
        if rng.random() < .5:
            thing = '{x}' if rng.random() < .75 else rng.choice(questions.OBJECTS)
            wording = rng.choice(questions.MANNERS) + rng.choice(self.style.tasks) + ' ' + thing + rng.choice(['', '.', '?'])
        question = ask(rng, wording, rng.choice(names), y=rng.choice(names)
                       if rng.random() < .5 else invent(rng, self.words))
        return [(dialect.user(question), 'ctx'), (dialect.DECLINE, 'ans')]

    def turn(self):
        u = self.rng.random()
        if u < .30:
            return self.define()
        if u < .48:
            return self.choice()
        if u < .79:
            return self.uses()
        if u < .86:
            return self.absent()
        return self.decline()

    def pack(self, budget_lines):
        """The map text that opens the system prompt: the files whose names are used most, by path."""
        if budget_lines <= 0:
            return ''
        repo = self.repo
        if self.by_use is None:
            use = {path: sum(len(repo.refs.get(n, ())) + 1 for n in names) for path, names in repo.map_lines.items()}
            self.by_use = sorted(use, key=lambda path: (-use[path], path))
        rows = [f'repository {repo.name}, {len(repo.files)} files']
        for path in sorted(self.by_use[:budget_lines]):
            row = path + ':'
            for name in repo.map_lines[path]:
                if len((row + ' ' + name).encode()) > 100:
                    break
                row += ' ' + name
            rows.append(row)
        rows.append(f'and {len(repo.files) - len(rows) + 1} more files')
        return '\n'.join(rows)


PATH_PART = re.compile(r'(?<![A-Za-z0-9_])([A-Za-z0-9_\-]{2,})(?=[/.][A-Za-z])')
LINE_NUMBER = re.compile(r'(?<=[A-Za-z0-9_]:)\d+(?=[:.\n <]|$)')
KEPT = {'tool_result', 'tool_calls', 'find_symbol', 'find_refs', 'invoke', 'parameter', 'this', 'path', 'line',
        'name', 'string', 'true', 'false', 'grep', 'read', 'type', 'object', 'integer', 'properties', 'self'}


def disguise(rng, turns, words):
    """Replaces names, path parts and line numbers alike in all turns, half of the time each."""
    text = ''.join(t for turn in turns for t, _ in turn)
    swap = {}
    if rng.random() < .6:
        for name in sorted(set(re.findall(r'string="true">([^<]+)<', text))):
            if rng.random() < .6:
                swap[name] = invent(rng, words)
        for name in sorted(set(re.findall(r': (?:call|use) in ([A-Za-z_$][\w$]*):', text))):
            if rng.random() < .4:
                swap.setdefault(name, invent(rng, words))
    if rng.random() < .6:
        for part in sorted(set(PATH_PART.findall(text))):
            if rng.random() < .5:
                swap.setdefault(part, invent(rng, words))
    swap = {a: b for a, b in swap.items() if a not in KEPT and b not in KEPT and len(a) > 1}
    if len(set(swap.values())) < len(swap):
        swap = {}
    if swap:
        pattern = re.compile(r'(?<![A-Za-z0-9_$])(' + '|'.join(map(re.escape, sorted(swap, key=len, reverse=True)))
                             + r')(?![A-Za-z0-9_$])')
        turns = [[(pattern.sub(lambda m: swap[m[0]], t), r) for t, r in turn] for turn in turns]
    if rng.random() < .5:
        shift = rng.choice([rng.randint(0, 60), rng.randint(0, 900), rng.randint(0, 9000)])
        turns = [[(LINE_NUMBER.sub(lambda m: str(int(m[0]) + shift), t), r) for t, r in turn] for turn in turns]
    return turns


def too_long(turn):
    return sum(len(t) for t, _ in turn) > 2600


def conversation(teller, n_turns, budget_lines, system=True):
    """[(text, role)] from BOS on.  system False leaves the system text out (cheap early practice)."""
    turns = []
    while len(turns) < n_turns:
        turn = teller.turn()
        if not too_long(turn):
            turns.append(turn)
    turns = disguise(teller.rng, turns, teller.words)
    head = dialect.system(teller.pack(budget_lines)) if system else ''
    return [(dialect.BOS + head, 'ctx')] + [part for turn in turns for part in turn]


def table_practice(rng, words):
    """A look-up table of invented names, and questions that only copying answers."""
    rows = {}
    for _ in range(rng.choice([3, 5, 8, 12])):
        path = '/'.join(invent(rng, words) for _ in range(rng.randint(1, 3)))
        rows[invent(rng, words)] = f'{path}.{rng.choice(["c", "h", "py", "js", "go", "rs"])}:{rng.randint(1, 4000)}'
    items = list(rows.items())
    out = [(dialect.BOS + '\n'.join(f'{v}: {k}' for k, v in items), 'ctx')]
    for k, v in rng.sample(items, min(4, len(items))):
        path, line = v.rsplit(':', 1)
        out += [(dialect.user(rng.choice(questions.DEFINE_TRAIN).format(x=k)), 'ctx'),
                (dialect.found(k, path, line), 'ans')]
    return out
