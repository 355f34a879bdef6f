"""What the program itself says about a package: tool results in training are the product's, byte for byte.

`deepread tool --batch` reads one call a line and answers one line each, so three runs make an index: one that lists the
names, one that asks about a sample of names and files, and those whose questions hang on these answers (who calls whom, edits).
"""
import json
import os
import pickle
import re
import subprocess
from multiprocessing import Pool

from . import corpus, dialect, known, sources

NAMES, DOUBLES, DESCRIBED, FILES = 500, 150, 170, 40       # asked about in a package, at most
SMALL_FILE = 40_000                                        # bytes; `describe` and its like parse the whole file
NAME = re.compile(r'[A-Za-z_$][A-Za-z0-9_$]*')
STRONG = {'function', 'method', 'class', 'struct', 'union', 'enum', 'interface', 'trait', 'type', 'macro', 'constant', 'module'}
REFERENCE = re.compile(r'^(\S.*?):(\d+): (call|use) in (.*?): (.*)$')
CALL = re.compile(r'^(\S.*?):(\d+): (\S.*?) in (\(top level\)|[^\s:]+?(?:::[^\s:]+?)*): (.*)$')
DEFINITION = re.compile(r'^(\S.*?):(\d+): (\w+) ?(.*)$')
RISKY = ['strcpy', 'strcat', 'sprintf', 'vsprintf', 'gets', 'memcpy', 'memmove', 'strncpy', 'strncat', 'snprintf', 'alloca', 'system', 'popen',
         'eval', 'exec', 'execl', 'scanf', 'sscanf', 'strlcpy', 'bcopy', 'wcscpy', 'stpcpy', 'realpath', 'getwd', 'unserialize', 'copy_from_user']
RISKY_CALL = re.compile(r'(?<![\w$.>])(' + '|'.join(RISKY) + r') ?\(')
KIND_WORDS = STRONG | {'variable', 'field', 'member'}
PARTS = {'parameters': 'parameters', 'returns': 'returns', 'fields': 'fields', 'value': 'value', 'doc': 'comment'}      # of a block, and the tool for it
# What edit tools are tried with: (first argument aside) names and lines that stand nowhere
TRIED = {'set_value': {'value': '7135824'}, 'rename_everywhere': {'new': 'qzRenamed7135824'}, 'add_statement': {'statement': 'return'}}
NEW_IMPORTS = {('.c', '.h', '.cc', '.cpp', '.hpp', '.cxx', '.hh'): '#include "qz7135824.h"', ('.py',): 'import qz7135824', ('.go',): '"qz7135824"',
               ('.java',): 'import qz7135824;', ('.rs',): 'use qz7135824;', ('.rb',): "require 'qz7135824'", ('.php',): 'use qz7135824;',
               ('.js', '.mjs', '.ts'): "import './qz7135824';"}
# What joins a name to what it stands in, by the ending of the file; elsewhere a dot
JOINTS = {**dict.fromkeys(('.cc', '.cpp', '.hpp', '.cxx', '.hh', '.h', '.rs', '.php'), ['::', '::', '::', '->', '.']), '.c': ['.', '->'],
          '.rb': ['#', '#', '.', '::']}
WORD = re.compile(r'[A-Za-z]{4,}(?: [A-Za-z]{3,}){0,2}')


def batch(binary, root, calls, model=dialect.NANO, flags=()):
    """The program's replies to a list of (tool, arguments)."""
    text = ''.join(json.dumps({'name': t, 'arguments': a} if a else {'name': t}) + '\n' for t, a in calls)
    run = subprocess.run([binary, '-C', root, '--model', model, '--exclude', 'debian/', *flags, 'tool', '--batch'],
                         input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def key(tool, arguments):
    return (tool, *arguments.values())


class Package:
    """known: what the index knows of words; by_name: {name: [(path, line, kind)]} of every defined name, in result order; uses: {name: count}; replies: {(tool,
    arguments...): reply}; asked: {tool: [arguments]}."""

    def __init__(self, name, binary, root):
        rng = corpus.seeded('product', name)
        self.name, self.replies, self.asked = name, {}, {}
        symbols, files, overview = batch(binary, root, [('symbols', None), ('files', None), ('map', None)])
        self.known = known.Known({n: rows for n, _, rows in symbols['symbols'] if rows}, files['files'])
        head = re.match(r'repository .*?, (\d+) files', overview['text'])
        self.n_files = int(head[1]) if head else 0
        self.map_lines = {}
        for row in overview['text'].split('\n')[1:]:
            path, colon, names = row.partition(': ')
            if colon:
                self.map_lines[path] = names.split()
        self.by_name = {n: [tuple(r[:3]) for r in rows] for n, _, rows in symbols['symbols'] if NAME.fullmatch(n) and 2 <= len(n) <= 48}
        self.uses = {n: k for n, k, _ in symbols['symbols']}
        self.paths = corpus.paths(root)
        there = set(self.paths)
        size = {p: os.path.getsize(os.path.join(root, p)) for p in self.paths}
        self.by_name = {n: rows for n, rows in self.by_name.items() if any(r[0] in there for r in rows)}
        names = sorted(self.by_name)
        if len(names) < 30 or len(self.paths) < 3:
            raise ValueError(f'{name}: {len(names)} names in {len(self.paths)} files')
        strong = [n for n in names if any(r[2] in STRONG for r in self.by_name[n])]
        strong_set = set(strong)
        double = [n for n in names if len(self.by_name[n]) > 1]
        small = [n for n in names if all(size.get(r[0], 1 << 30) <= SMALL_FILE for r in self.by_name[n]) and len(self.by_name[n]) <= 3]
        pick = list(dict.fromkeys(_sample(rng, strong, NAMES) + _sample(rng, double, DOUBLES) + _sample(rng, names, NAMES // 8)))
        described = _sample(rng, [n for n in small if n in strong_set], DESCRIBED) + _sample(rng, [n for n in small if n not in strong_set], DESCRIBED // 4)
        self.folded = {}
        for n in names:
            self.folded.setdefault(n.lower(), []).append(n)
        wrong = _misremembered(rng, pick, 60, self.by_name)
        wrong_described = _misremembered(rng, described, 40, self.by_name)
        files = _sample(rng, [p for p in self.paths if size[p] < 200_000], FILES)
        calls = [('find_symbol', {'name': n}) for n in pick + wrong]
        calls += [('find_refs', {'name': n}) for n in pick if self.uses.get(n)] + [('find_refs', {'name': n}) for n in pick[:40] + wrong[:20] if not self.uses.get(n)]
        calls += [('describe', {'name': n}) for n in dict.fromkeys(described)]
        calls += [(rng.choice(list(PARTS.values())), {'name': n}) for n in wrong_described]
        calls += [('outline', {'path': p}) for p in files] + [('imports', {'path': p}) for p in files]
        calls += [('find_file', {'name': n}) for n in self._file_names(rng, names)]
        calls += [('grep', {'pattern': t}) for t in self._texts(rng, root, files)]
        self._ask(binary, root, calls)
        more = [('importers', {'name': n}) for n in self._modules(rng)]
        more += [('calls', {'caller': a, 'callee': b}) for a, b in self._pairs(rng, strong)]
        risky = self._risky(rng, root)
        more += [('find_refs', {'name': n}) for n in risky]
        called = [a[0] for a in self.asked['find_refs'] if ': call in ' in self.replies['find_refs', a[0]]['text']]
        unused = [a[0] for a in self.asked['find_refs'] if a[0] not in called]
        more += [('call_sites', {'name': n}) for n in risky + _sample(rng, called, 120) + _sample(rng, unused, 8)]
        more += [('find_symbol_in', {'name': n, 'place': p}) for n, p in self._qualified(rng)]
        for (n,) in self.asked['describe']:
            text = self.replies['describe', n]['text']
            tools = {tool for part, tool in PARTS.items() if f'\n{part}: ' in text} | {'comment'}
            more += [(tool, {'name': n}) for tool in sorted(tools)]
            if 'value' not in tools and rng.random() < .15:
                more.append(('value', {'name': n}))
        self._ask(binary, root, more)
        self._ask_qualified(rng, binary, root)
        self._try_edits(rng, binary, root, files)
        used = {n for k in self.replies for n in k[1:] if isinstance(n, str)} | {n for a in self.asked.values() for x in a for n in x if isinstance(n, str)}
        self.names = [n for n in names if n in used]
        self.by_name = {n: self.by_name[n] for n in self.names}

    def _ask(self, binary, root, calls):
        calls = list({key(*c): c for c in calls}.values())
        for (tool, arguments), reply in zip(calls, batch(binary, root, calls)):
            reply.pop('diff', None)
            self.replies[key(tool, arguments)] = reply
            self.asked.setdefault(tool, []).append(tuple(arguments.values()))

    def _qualified(self, rng):
        """[(name, place)] of names whose definition a kind, a folder or a file alone singles out, or that have but one."""
        out = []
        for (name,) in self.asked['find_symbol']:
            rows = wanted(self.replies['find_symbol', name]['text'])
            for _ in range(3 if len(rows) > 1 else rng.random() < .15):
                place = qualifier(rng, rows)
                if place:
                    out.append((name, place))
        return _sample(rng, out, 150)

    def _ask_qualified(self, rng, binary, root):
        """Asks about names as people qualify them: asked['qualified'] = [(tool, name)]."""
        calls, there = [], set(self.paths)
        for (name,) in self.asked['find_symbol']:
            rows = [r for r in self.known.lies.get(name, ()) if r[2] in there]
            if not rows:
                continue
            kind, container, path = rng.choice(rows)
            place = container or path.rsplit('/', 1)[-1].rsplit('.', 1)[0]
            joint = rng.choice(JOINTS.get(os.path.splitext(path)[1], ['.']))
            parts = [tool for tool in PARTS.values() if (tool, name) in self.replies]
            if NAME.fullmatch(place) and (container or kind == 'function' and rng.random() < .2):
                calls.append((rng.choice(['find_symbol', 'find_refs', *parts, *parts]), {'name': place + joint + name}))
        calls = _sample(rng, calls, 90)
        asked = {tool: len(rows) for tool, rows in self.asked.items()}
        self._ask(binary, root, calls)
        for tool, n in asked.items():                          # these lists are of plain names
            del self.asked[tool][n:]
        self.asked['qualified'] = [key(*c) for c in calls if self.known.qualified(c[1]['name'])]

    def _file_names(self, rng, names):
        out = []
        for p in _sample(rng, self.paths, 40):
            base = p.rsplit('/', 1)[-1]
            stem = base.rsplit('.', 1)[0]
            out.append(rng.choice([base, base, base, base, stem, stem, base.upper() if base.upper() != base else base.lower(), stem[:max(3, len(stem) // 2)], p]))
        for _ in range(12):
            stem = rng.choice(names).lower()[:12]
            out.append(stem + rng.choice(['.c', '.h', '.py', '.go', '.rs', '.js', '.md', '.txt', '', '.java', '.rb', '.json']))
        return [n for n in out if len(n) > 2 and re.fullmatch(r'[\w./+@-]+', n)]

    def _texts(self, rng, root, files):
        out = ['TODO', 'FIXME']
        for p in files[:24]:
            text = corpus.read(root, p)
            words = WORD.findall(text[:20000]) if text else []
            out += _sample(rng, words, 2)
        for p in files[:6]:
            text = corpus.read(root, p) or ''
            quoted = re.findall(r'"([A-Za-z][A-Za-z ,:-]{4,30})"', text)
            out += _sample(rng, quoted, 1)
        return [t for t in out if '{' not in t]

    def _modules(self, rng):
        out = []
        for (tool, *_), reply in list(self.replies.items()):
            if tool != 'imports':
                continue
            for hole in reply.get('holes', []):
                text = hole['import']
                m = re.search(r'["<]([\w./@+-]+)[">]', text) or re.search(r'[\'"]([\w./@+-]+)[\'"]', text) or \
                    re.search(r'^(?:from|import|use|using|require|package)\s+(?:static\s+)?([\w.:]+)', text)
                if m:
                    out.append(m[1].strip(':.'))
        out = _sample(rng, sorted(set(out)), 40)
        out += [p if rng.random() < .4 else p.rsplit('/', 1)[-1] for p in _sample(rng, self.paths, 20)]
        return [m for m in dict.fromkeys(out) if re.fullmatch(r'[\w./+@:-]{2,60}', m)]

    def _risky(self, rng, root):
        """Functions of the C library and the like that an audit asks for and these files call."""
        found = set()
        for path in self.paths[:400]:
            text = corpus.read(root, path)
            found.update(RISKY_CALL.findall(text) if text else ())
        return _sample(rng, sorted(n for n in found if n not in self.by_name), 6)

    def _pairs(self, rng, strong):
        out = []
        for (tool, *arguments), reply in list(self.replies.items()):
            if tool == 'find_refs':
                for row in reply['text'].split('\n'):
                    m = REFERENCE.match(row)
                    if m and NAME.fullmatch(m[4]) and m[4] != arguments[0]:
                        out.append((m[4], arguments[0]))
        out = _sample(rng, sorted(set(out)), 120)
        callers = [a for a, _ in out]
        out += [(rng.choice(callers), rng.choice(strong)) for _ in range(70) if callers]
        return out

    def _try_edits(self, rng, binary, root, files):
        """Asks the edit tools with arguments that stand nowhere: what they say hangs on the name or the path."""
        calls = [('set_value', {'name': n, **TRIED['set_value']}) for (n,) in self.asked['describe']
                 if '\nvalue: ' in self.replies['describe', n]['text'] or rng.random() < .04]
        single, double = [], []
        for name, rows in sorted(self.by_name.items()):
            if rows[0][2] in ('function', 'method') and ('find_symbol', name) in self.replies:
                (single if len(rows) == 1 else double).append(name)
        calls += [('rename_everywhere', {'old': n, **TRIED['rename_everywhere']}) for n in _sample(rng, single, 50) + _sample(rng, double, 6)]
        calls += [('add_statement', {'name': n, **TRIED['add_statement']}) for n in _sample(rng, single, 80) + _sample(rng, double, 6)]
        for path in files:
            line = next((line for ends, line in NEW_IMPORTS.items() if path.endswith(ends)), None)
            if line:
                calls.append(('add_import', {'path': path, 'import': line}))
        self._ask(binary, root, calls)


def wanted(text):
    """[(path, line, kind)] of a result of find_symbol: declarations only when there is nothing else."""
    rows = [(m[1], int(m[2]), m[3]) for m in map(DEFINITION.match, text.split('\n')) if m]
    return [r for r in rows if r[2] != 'prototype'] or rows


def qualifier(rng, rows):
    """A kind, folder or file that singles one of the rows out; None when there is none."""
    if not rows:
        return None
    path, _, kind = rng.choice(rows)
    choices = []
    folder = path.rsplit('/', 1)[0] + '/' if '/' in path else ''
    if kind in KIND_WORDS and sum(r[2] == kind for r in rows) == 1:
        choices.append(kind)
    if folder and sum(r[0].startswith(folder) for r in rows) == 1:
        choices.append(folder if rng.random() < .5 else folder[:-1])
        last = folder[:-1].rsplit('/', 1)[-1]
        if sum(last in r[0].split('/')[:-1] for r in rows) == 1:
            choices.append(last)
    if sum(r[0] == path for r in rows) == 1:
        base = path.rsplit('/', 1)[-1]
        choices.append(base if rng.random() < .5 and sum(r[0].rsplit('/', 1)[-1] == base for r in rows) == 1 else path)
    return rng.choice(choices) if choices else None


def _misremembered(rng, names, n, known):
    """Names as people misremember them: wrong case half of the time, else cut or with something added."""
    out = []
    for name in _sample(rng, sorted(names), n):
        case = rng.choice([name.lower(), name.upper(), name.capitalize(), name[0].swapcase() + name[1:], name.replace('_', '').lower()])
        out.append(rng.choice([case, case, name + 's', name[:max(3, len(name) * 2 // 3)], name[:-1], name + '_t', name + 'Ex', name[1:]]))
    return [x for x in dict.fromkeys(out) if x not in known and len(x) > 1 and NAME.fullmatch(x)]


def _sample(rng, rows, n):
    return rng.sample(rows, min(n, len(rows)))


def load(work, package):
    with open(os.path.join(work, 'product', package + '.pkl'), 'rb') as f:
        return pickle.load(f)


def there(work):
    """Packages to train on that have an index."""
    return [r['package'] for r in sources.table() if r['split'] == 'train' and os.path.exists(os.path.join(work, 'product', r['package'] + '.pkl'))]


def _make(job):
    goal, package, binary, root = job
    try:
        made = Package(package, binary, root)
    except (ValueError, subprocess.CalledProcessError) as e:
        with open(goal + '.no', 'w') as f:                     # nothing to ask about: not tried again
            f.write(f'{e}\n')
        return f'left out: {e}'
    with open(goal + '.part', 'wb') as f:
        pickle.dump(made, f)
    os.replace(goal + '.part', goal)
    return f'{len(made.names)} names, {len(made.replies)} results'


def run(work, binary, processes=2):
    """Stage `product`: an index by the program for every package to train on, under work/product."""
    os.makedirs(os.path.join(work, 'product'), exist_ok=True)
    jobs = []
    for row in sources.table():
        goal = os.path.join(work, 'product', row['package'] + '.pkl')
        root = os.path.join(work, 'src', row['package'])
        if row['split'] == 'train' and os.path.isdir(root) and not os.path.exists(goal) and not os.path.exists(goal + '.no'):
            jobs.append((goal, row['package'], binary, root))
    with Pool(processes) as pool:
        for job, said in zip(jobs, pool.imap(_make, jobs)):
            print(f'product {job[1]}: {said}', flush=True)
