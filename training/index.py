"""Symbols and references of a source tree, and the tool results made from them.

The texts of find_symbol and find_refs follow docs/tools.md byte by byte.  Symbols come from
universal-ctags and references from identifier matches outside comments and strings: near enough to
the product's syntax trees to learn from, and available before the product exists.
"""
import json
import os
import pickle
import random
import re
import subprocess

LANGUAGES = {
    '.c': 'C', '.h': 'C', '.cc': 'C++', '.cpp': 'C++', '.cxx': 'C++', '.hpp': 'C++', '.hh': 'C++',
    '.py': 'Python', '.js': 'JavaScript', '.mjs': 'JavaScript', '.ts': 'TypeScript', '.go': 'Go',
    '.rs': 'Rust', '.java': 'Java',
}
SKIPPED_FOLDERS = {'debian', '.git', '.pc', 'node_modules'}
MAX_FILE_BYTES = 200_000
MAX_FILES = 450
RESULT_LINES = 8
RESULT_COLUMNS = 60

# ctags kind -> the word of docs/tools.md; kinds not listed are not symbols of ours
KINDS = {
    'function': 'function', 'func': 'function', 'generator': 'function', 'subroutine': 'function',
    'method': 'method', 'getter': 'method', 'setter': 'method', 'class': 'class', 'struct': 'struct',
    'union': 'union', 'enum': 'enum', 'interface': 'interface', 'trait': 'trait', 'typedef': 'type',
    'type': 'type', 'alias': 'type', 'talias': 'type', 'annotation': 'interface', 'macro': 'macro',
    'constant': 'constant', 'const': 'constant', 'variable': 'variable', 'var': 'variable',
    'field': 'field', 'property': 'field', 'member': 'member', 'enumerator': 'enumerator',
    'enumConstant': 'enumerator', 'module': 'module', 'namespace': 'module', 'prototype': 'prototype',
}
RANK = {'field': 1, 'member': 1, 'enumerator': 1, 'variable': 1, 'prototype': 2}
ENCLOSING_KINDS = {'function', 'method', 'class'}
NAME = re.compile(r'[A-Za-z_$][A-Za-z0-9_$]*')
NOISE = re.compile(r'//.*|/\*.*?(?:\*/|$)|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
NOISE_HASH = re.compile(r'#.*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
IN_COMMENT = re.compile(r'^\s*(?:\*|//|/\*|#(?!\s*define|\s*if|\s*elif))')


def cut(text):
    """A source line as results show it: blanks collapsed, cut at RESULT_COLUMNS bytes."""
    text = ' '.join(text.split())
    return text.encode()[:RESULT_COLUMNS].decode(errors='ignore') \
        if len(text.encode()) > RESULT_COLUMNS else text


def kind_of(tag, language, line):
    kind = tag.get('kind', '')
    if language == 'Python' and kind == 'member':
        return 'method'
    if language == 'Python' and kind in ('namespace', 'module', 'unknown'):
        return None
    if language == 'Go' and kind == 'func' and re.match(r'\s*func\s*\(', line):
        return 'method'
    if language == 'Rust' and kind == 'interface':
        return 'trait'
    if language in ('C', 'C++') and kind in ('local', 'externvar', 'parameter'):
        return None
    if language == 'Go' and kind in ('package', 'anonMember', 'methodSpec', 'packageName'):
        return None
    if language == 'C++' and kind == 'function' and tag.get('scopeKind') in ('class', 'struct'):
        return 'method'
    if language == 'Java' and kind == 'member':
        return 'field'
    return KINDS.get(kind)


class Repo:
    """files: {path: [line]}; by_name: {name: [(path, line, kind)]} in result order;
    refs: {name: [(path, line, is_call, enclosing)]} in result order."""

    def __init__(self, name, files, symbols):
        self.name, self.files = name, files
        self.by_name = {}
        for symbol, path, line, kind, _ in symbols:
            self.by_name.setdefault(symbol, set()).add((path, line, kind))
        for symbol, rows in self.by_name.items():
            self.by_name[symbol] = sorted(rows, key=lambda r: (RANK.get(r[2], 0), r[0].encode(), r[1]))
        self.names = sorted(self.by_name)
        self.folded = {}
        for symbol in self.names:
            self.folded.setdefault(symbol.lower(), []).append(symbol)
        self.refs = self._references(symbols)
        self.map_lines = self._map(symbols)

    def _references(self, symbols):
        blocks = {}
        for symbol, path, line, kind, end in symbols:
            if kind in ENCLOSING_KINDS and end and end >= line:
                blocks.setdefault(path, []).append((line, end, symbol))
        at = {(path, line, symbol) for symbol, path, line, _, _ in symbols}
        wanted = {s for s, rows in self.by_name.items() if RANK.get(rows[0][2], 0) == 0}
        refs = {}
        for path, lines in self.files.items():
            noise = NOISE_HASH if path.endswith('.py') else NOISE
            inner = [None] * (len(lines) + 2)
            for start, end, symbol in sorted(blocks.get(path, [])):      # later starts are deeper
                for i in range(start, min(end, len(lines)) + 1):
                    inner[i] = symbol
            for number, text in enumerate(lines, 1):
                if len(text) > 240 or IN_COMMENT.match(text):
                    continue
                clean = noise.sub(' ', text)
                seen = {}
                for m in NAME.finditer(clean):
                    if m[0] in wanted and (path, number, m[0]) not in at:
                        seen[m[0]] = seen.get(m[0], False) or clean[m.end():m.end() + 1] == '('
                for symbol, call in seen.items():
                    refs.setdefault(symbol, []).append(
                        (path, number, call, inner[number] or '(top level)'))
        for rows in refs.values():
            rows.sort(key=lambda r: (not r[2], r[0].encode(), r[1]))
        return refs

    def _map(self, symbols):
        tops = {}
        for symbol, path, line, kind, _ in sorted(symbols, key=lambda s: (s[1], s[2])):
            if kind in ('function', 'class', 'struct', 'interface', 'trait', 'macro', 'type', 'enum'):
                tops.setdefault(path, []).append(symbol)
        return {path: list(dict.fromkeys(names)) for path, names in tops.items()}

    def line(self, path, number):
        return cut(self.files[path][number - 1])

    def similar(self, name):
        low = name.lower()
        same = [n for n in self.folded.get(low, []) if n != name]
        pre = [n for n in self.names if n.startswith(name) and n != name]
        inside = [n for n in self.names if low in n.lower() and n != name]
        out = []
        for group in (same, pre, inside):
            out += [n for n in sorted(group, key=lambda n: (len(n.encode()), n.encode())) if n not in out]
        return out[:5]

    def find_symbol(self, name):
        """(text, rows): the result of the tool and the (path, line, kind) behind each shown line."""
        rows = self.by_name.get(name)
        if not rows:
            near = self.similar(name)
            return f'no symbol named {name}' + ('\nsimilar: ' + ', '.join(near) if near else ''), []
        shown = rows[:RESULT_LINES]
        text = [f'{p}:{n}: {k} {self.line(p, n)}' for p, n, k in shown]
        if len(rows) > len(shown):
            text.append(f'and {len(rows) - len(shown)} more')
        return '\n'.join(text), shown

    def find_refs(self, name):
        """(text, rows) as find_symbol; rows are (path, line, is_call, enclosing)."""
        rows = self.refs.get(name)
        if not rows:
            return f'no references to {name}', []
        shown = rows[:RESULT_LINES]
        text = [f'{p}:{n}: {"call" if c else "use"} in {e}: {self.line(p, n)}' for p, n, c, e in shown]
        if len(rows) > len(shown):
            text.append(f'and {len(rows) - len(shown)} more')
        return '\n'.join(text), shown


def scan(root, name, max_files=MAX_FILES):
    """Reads one tree.  The same files and order whatever the file system's order."""
    paths = []
    for folder, subs, names in os.walk(root):
        subs[:] = sorted(s for s in subs if s not in SKIPPED_FOLDERS)
        for n in sorted(names):
            full = os.path.join(folder, n)
            if os.path.splitext(n)[1] in LANGUAGES and not os.path.islink(full) \
                    and os.path.getsize(full) <= MAX_FILE_BYTES:
                paths.append(os.path.relpath(full, root))
    if max_files and len(paths) > max_files:
        paths = sorted(random.Random(name).sample(paths, max_files))
    files = {}
    for path in paths:
        try:
            with open(os.path.join(root, path), encoding='utf-8') as f:
                text = f.read()
        except UnicodeDecodeError:
            continue
        if 'DSML' not in text:
            files[path] = text.replace('\r', '').split('\n')
    out = subprocess.run(
        ['ctags', '--output-format=json', '--fields=+neKsl', '--kinds-C=+p', '--kinds-C++=+p',
         '--map-TypeScript=+.ts', '--langmap=C:+.h', '-f', '-', '-L', '-'],
        input='\n'.join(files), capture_output=True, text=True, cwd=root, errors='replace')
    symbols = []
    for row in out.stdout.splitlines():
        try:
            tag = json.loads(row)
        except ValueError:
            continue
        path, line = tag.get('path'), tag.get('line', 0)
        if path not in files or not 1 <= line <= len(files[path]):
            continue
        text = files[path][line - 1]
        kind = kind_of(tag, tag.get('language'), text)
        symbol = tag['name']
        if kind and NAME.fullmatch(symbol) and 2 <= len(symbol) <= 48 and symbol in text \
                and not symbol.startswith('__anon') and len(text) < 400:
            symbols.append((symbol, path, line, kind, tag.get('end', 0)))
    return Repo(name, files, symbols)


def run(work, packages):
    """Stage `index`: one pickle a package under work/index, those already made skipped."""
    os.makedirs(os.path.join(work, 'index'), exist_ok=True)
    for package in packages:
        goal = os.path.join(work, 'index', package + '.pkl')
        root = os.path.join(work, 'src', package)
        if os.path.exists(goal) or not os.path.isdir(root):
            continue
        repo = scan(root, package)
        with open(goal + '.part', 'wb') as f:
            pickle.dump(repo, f)
        os.replace(goal + '.part', goal)
        print(f'index {package}: {len(repo.files)} files, {len(repo.names)} names, '
              f'{sum(map(len, repo.refs.values()))} references', flush=True)


def load(work, package, made_by='index'):
    """A repository's index, made by this file ('index') or by the program ('product')."""
    with open(os.path.join(work, made_by, package + '.pkl'), 'rb') as f:
        return pickle.load(f)
