"""What the index knows of the words of a question: the reminder before it, byte for byte as app/known.c writes it (a test compares them)."""
import re

MOST, WORDS, SHORTEST, SHORTEST_IN_OTHER_CASE, LONGEST_ODD, MOST_FOUND = 12, 256, 2, 4, 64, 64
MEMBERS = ('variable', 'field', 'member', 'enumerator')
SAID = ('function', 'method', 'class', 'struct', 'union', 'enum', 'interface', 'trait', 'type', 'macro', 'constant', 'module', *MEMBERS, 'prototype', 'file',
        'folder', 'nothing')
LETTER = r'[A-Za-z0-9_$~\u0080-\U0010ffff]'
WORD, RUN = re.compile(LETTER + '+'), re.compile(r'[A-Za-z0-9_$~\u0080-\U0010ffff./\-+@:]+')
INSIDE = re.compile(LETTER + LETTER)
QUALIFIED, JOINED = re.compile(f'({LETTER}+)(?:::|->|[.:#])({LETTER}+)$'), re.compile(f'(?:::|->|[.:#]){LETTER}+')


def lower(name):
    """As strncasecmp compares."""
    return re.sub('[A-Z]+', lambda m: m[0].lower(), name)


def base(path):
    return path.rsplit('/', 1)[-1]


def stem(path):
    name = base(path)
    return name[0] + name[1:].rsplit('.', 1)[0] if '.' in name[1:] else None


def size(text):
    return len(text.encode())


class Known:
    """defined: {name: [(path, line, kind, container or '')]} of every defined name, in the program's order; files: paths of every file."""

    def __init__(self, defined, files):
        self.kinds, self.folded = {name: rows[0][2] for name, rows in defined.items()}, {}
        self.lies = {name: [(kind, container, path) for path, _, kind, container in rows] for name, rows in defined.items()}
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
        if size(word) < SHORTEST:
            return None
        if word not in self.kinds and size(word) >= SHORTEST_IN_OTHER_CASE:
            others = self.folded.get(lower(word), ())
            word = others[0] if len(others) == 1 else word
        return self.kinds.get(word)

    def place(self, name):
        bare = name[2:] if name.startswith('./') and len(name) > 2 else name
        if bare in self.ends or size(name) >= SHORTEST_IN_OTHER_CASE and lower(name) in self.ends_in_any_case:
            return 'file'
        return 'folder' if bare.rstrip('/') in self.folders else None

    def odd(self, text, first, at):
        """Defined names that begin with the word text[first:at] and are more than it."""
        while at < len(text) and size(text[first:at]) < LONGEST_ODD and text[at] not in ' \t\n\v\f\r':
            at += 1
            if text[first:at] in self.kinds and not INSIDE.match(text, at - 1):
                yield text[first:at]

    def qualified(self, name):
        """(last part, kind of its first definition in what stands before); None when it is no qualified name."""
        m = QUALIFIED.search(name)
        if not m or size(m[1]) < 2 or size(m[2]) < 2:
            return None
        rows = self.lies.get(m[2], ())
        for there in (lambda row: row[1] == m[1], lambda row: stem(row[2]) == m[1] or base(row[2]) == m[1], lambda row: m[1] in row[2].split('/')[:-1]):
            for row in filter(there, rows):
                return m[2], row[0]
        return None

    def longest_qualified(self, text, first, at):
        """Where it ends, and its kind."""
        found = None
        while at < len(text) and size(text[first:at]) < LONGEST_ODD:
            m = JOINED.match(text, at)
            if not m:
                break
            at = m.end()
            named = self.qualified(text[first:at])
            found = (at, named[1]) if named else found
        return found

    def found(self, text, own):
        out, n, told = {}, 0, 0
        for m in RUN.finditer(text):
            if n >= WORDS:
                break
            path = m[0].lstrip(':-').rstrip('.:-')
            if not (WORD.search(path) and re.search(r'[./\-+@:]', path)):
                path = ''
            what = self.place(path) if path else None
            if what:
                out.setdefault(path, what)
                n += 1
                continue
            for w in WORD.finditer(text, m.start(), m.end()):
                if n >= WORDS:
                    break
                n += 1
                if w.start() < told:
                    continue
                longest = self.longest_qualified(text, w.start(), w.end())
                if longest:
                    told = longest[0]
                    out.setdefault(text[w.start():told], longest[1])
                    continue
                word = w[0]
                what = own[word] if word in own else self.kind(word)
                if not what and not path and size(word) >= SHORTEST:
                    what = self.place(word)
                if what:
                    out.setdefault(word, what)
                for name in self.odd(text, w.start(), w.end()):
                    out.setdefault(name, self.kinds[name])
            n += 1
        return list(out.items())[:MOST_FOUND]

    def of(self, text, own=None):
        """own: {name: kind, or None for one that is not there}, before the index."""
        found = self.found(text, own or {})
        left = max(0, MOST - sum(what not in MEMBERS for _, what in found))
        members = [word for word, what in found if what in MEMBERS][:left]
        kept = [(word, what) for word, what in found if what not in MEMBERS or word in members][:MOST]
        return 'known: ' + (', '.join(f'{word} {what}' for word, what in kept) or 'nothing')
