"""What the index knows of the words of a question: the reminder before it, byte for byte as app/known.c writes it (a test compares them)."""
import re
import sys

MOST, SHORTEST, SHORTEST_IN_OTHER_CASE = 12, 2, 4
SAID = ('function', 'method', 'class', 'struct', 'union', 'enum', 'interface', 'trait', 'type', 'macro', 'constant', 'module', 'variable', 'field', 'member',
        'enumerator', 'prototype', 'file', 'folder', 'nothing')
WORD = re.compile(r'[A-Za-z0-9_$~\u0080-\U0010ffff]+')
RUN = re.compile(r'[A-Za-z0-9_$~\u0080-\U0010ffff./\-+@:]+')


def lower(name):
    """As strncasecmp compares."""
    return re.sub('[A-Z]+', lambda m: m[0].lower(), name)


class Known:
    """kinds: {name: kind of its first definition}, of every defined name; files: paths of every file."""

    def __init__(self, kinds, files):
        self.kinds = {sys.intern(name): sys.intern(kind) for name, kind in kinds.items()}
        self.folded = {}
        for name in self.kinds:
            self.folded.setdefault(lower(name), []).append(name)
        self.ends, self.ends_in_any_case, self.folders = set(), set(), set()
        for path in files:
            parts = path.split('/')
            self.ends.update('/'.join(parts[i:]) for i in range(len(parts)))
            self.ends_in_any_case.update(lower('/'.join(parts[i:])) for i in range(len(parts)))
            if '.' in parts[-1][1:]:
                self.ends_in_any_case.add(lower(parts[-1][0] + parts[-1][1:].rsplit('.', 1)[0]))
            self.folders.update('/'.join(parts[i:k]) for i in range(len(parts) - 1) for k in range(i + 1, len(parts)))

    def kind(self, word):
        if len(word.encode()) < SHORTEST:
            return None
        if word not in self.kinds and len(word.encode()) >= SHORTEST_IN_OTHER_CASE:
            others = self.folded.get(lower(word), ())
            word = others[0] if len(others) == 1 else word
        return self.kinds.get(word)

    def place(self, name):
        if (name[2:] if name.startswith('./') and len(name) > 2 else name) in self.ends:
            return 'file'
        if len(name.encode()) >= SHORTEST_IN_OTHER_CASE and lower(name) in self.ends_in_any_case:
            return 'file'
        return 'folder' if name.rstrip('/') in self.folders else None

    def of(self, text, own=None):
        """own: {name: kind, or None for one that is not there}, before the index."""
        found = {}
        for m in RUN.finditer(text):
            path = m[0].lstrip(':-').rstrip('.:-')
            if not (WORD.search(path) and re.search(r'[./\-+@:]', path)):
                path = ''
            what = self.place(path) if path else None
            if what:
                found.setdefault(path, what)
                continue
            for w in WORD.finditer(m[0]):
                word = w[0]
                what = own[word] if own and word in own else self.kind(word) or (None if path else self.place(word))
                if what:
                    found.setdefault(word, what)
        return 'known: ' + (', '.join(f'{word} {what}' for word, what in list(found.items())[:MOST]) or 'nothing')
