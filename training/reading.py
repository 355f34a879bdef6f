"""Direct reading: a function's own comment, taken out of the text, is the question; its name and place are the answer.

Functions and their comments are found by each language's habits of layout, which is enough: a comment that is not surely the function's
own is left alone.  Packs are laid out as docs/pack.md says (a test compares them with the program's).
"""
import bisect
import collections
import os
import pickle
import re

from . import corpus, dialect, questions, sources
from .dialogues import KEPT, MARKED, ask, invent
from .roles import CONTEXT, NAME

About = collections.namedtuple('About', 'parts function')      # a turn, and the (path, name) that it asks for

WORD = re.compile(r'[A-Z]?[a-z]{2,}|[A-Z]{2,}')
LEAST_WORDS = 4                                        # a shorter comment says nothing
MAX_FILE_CHARS = 60_000
MAX_FILES = 160
C_LIKE = ('.c', '.h', '.cc', '.cpp', '.cxx', '.hpp', '.hh')
NOT_NAMES = {'if', 'for', 'while', 'switch', 'return', 'sizeof', 'catch', 'function', 'defined', 'void', 'int', 'new', 'else', 'do', 'main', 'constructor',
             '__attribute__', 'static_assert', 'typeof', 'operator', 'extern', 'super', 'this', 'require', 'describe', 'it', 'module', 'template'}
BY_EXTENSION = {
    '.py': re.compile(r'^\s*(?:async )?def (\w+)\s*\('),
    '.go': re.compile(r'^func (?:\([^)]*\) )?(\w+)[\[(]'),
    '.rs': re.compile(r'^\s*(?:pub(?:\([\w: ]+\))? )?(?:(?:const|async|unsafe|default|extern(?: "\w+")?) )*fn (\w+)'),
    '.rb': re.compile(r'^\s*def (?:self\.)?(\w+(?:[?!]|=(?=\())?)'),
    '.php': re.compile(r'^\s*(?:(?:public|private|protected|static|final|abstract) )*function &?(\w+)\s*\('),
    '.java': re.compile(r'^\s*(?:(?:public|private|protected|static|final|abstract|synchronized|native|default|strictfp) )*(?:<[^>]+> )?[\w<>\[\],.? ]+ (\w+)\s*\('),
    '.js': re.compile(r'^\s*(?:export (?:default )?)?(?:async )?function\*? (\w+)\s*\(|^\s*(?:static |async |get |set )*(\w+)\s*\([^;]*\)\s*\{$'
                      r'|^\s*(?:export )?(?:const|let|var) (\w+) = (?:async )?(?:function|\([^)]*\) =>|\w+ =>)|^[\w.]+\.(\w+) = (?:async )?function'),
    'c': re.compile(r'^(?!\s*(?:#|typedef|return|else|case|goto|struct \w+ \{|using|namespace))[\w\s*&:<>,~\[\]()"]*?[\s*&:]?(\w+)\s*\('),
}
BY_EXTENSION['.ts'] = BY_EXTENSION['.mjs'] = BY_EXTENSION['.js']
STEP_OVER = re.compile(r'^\s*(?:@[\w.]+(?:\(.*\))?|#\[.*\]|#!\[.*\]|template\s*<.*>|\[\[.*\]\]|(?:static|inline|extern|const|unsigned|struct|enum|void|int|char|bool'
                       r'|size_t|long|\w+_t|[A-Z]\w+|std::\w+)[\w\s*&:<>,]*)$')


class Function:
    """name, doc, line (0-based, of the name) and the comment's lines [first, last]."""
    __slots__ = ('name', 'doc', 'line', 'first', 'last')

    def __init__(self, name, doc, line, first, last):
        self.name, self.doc, self.line, self.first, self.last = name, doc, line, first, last

    def __getstate__(self):
        return self.name, self.doc, self.line, self.first, self.last

    def __setstate__(self, state):
        self.name, self.doc, self.line, self.first, self.last = state


def clean(rows):
    """A comment's first paragraph without its marks, blanks collapsed."""
    out = []
    for row in rows:
        row = re.sub(r'^\s*(?:/\*[*!]*|\*+/|\*|///?/?!?|//!?|#+|"""|\'\'\'|[rR]?"""|r?\'\'\')', '', row, count=1)
        row = re.sub(r'(?:\*+/|"""|\'\'\')\s*$', '', row).strip()
        if re.match(r'^[@\\](?:brief|short)\s', row):
            row = row.split(None, 1)[1]
        if re.match(r'^(?:[@\\]\w|:param|:return|Args:|Returns:|Parameters|Example|>>>|# Example|```|-{3,}|={3,}|\+-)', row):
            break
        if not row:
            if out:
                break
            continue
        out.append(row)
    return ' '.join(' '.join(out).split())


def usable(doc):
    return len(doc.split()) >= LEAST_WORDS and len(doc) <= 600 and sum(ch.isalpha() or ch == ' ' for ch in doc) > .75 * len(doc) \
        and not re.match(r'(?i)(copyright|todo|fixme|licen[sc]e|spdx|eslint|noqa|deprecated|\(non-javadoc|generated|===|---)', doc)


def functions(path, text):
    """The documented functions of a file."""
    extension = os.path.splitext(path)[1]
    pattern = BY_EXTENSION['c' if extension in C_LIKE else extension] if extension in BY_EXTENSION or extension in C_LIKE else None
    if not pattern:
        return []
    lines, out = text.split('\n'), []
    for n, row in enumerate(lines):
        if len(row) > 200 or '(' not in row and extension != '.rb':
            continue
        m = pattern.match(row)
        if not m:
            continue
        name = next(g for g in m.groups() if g)
        if name in NOT_NAMES or len(name) < 2 or name.startswith('test') or name.isupper():
            continue
        if extension == '.py':
            found = _docstring(lines, n)
        else:
            if not _has_body(lines, n, extension):
                continue
            found = _comment_above(lines, n, extension)
        if found:
            first, last, doc = found
            if usable(doc):
                out.append(Function(name, doc, n, first, last))
    return out


def _has_body(lines, n, extension):
    if extension in ('.rb', '.go'):
        return True
    for row in lines[n:n + 9]:
        row = re.sub(r'//.*|/\*.*?\*/', '', row).rstrip()
        if '{' in row:
            return True
        if row.endswith(';') or row.endswith('}'):
            return False
    return False


def _docstring(lines, n):
    for at in range(n, min(n + 8, len(lines) - 1)):
        if lines[at].rstrip().endswith(':'):
            break
    else:
        return None
    first = at + 1
    m = re.match(r'^\s*[rRuU]?("""|\'\'\')', lines[first])
    if not m:
        return None
    for last in range(first, min(first + 80, len(lines))):
        if m[1] in (lines[last][m.end():] if last == first else lines[last]):
            after = lines[last].rsplit(m[1], 1)[1].strip()
            margin = len(lines[first]) - len(lines[first].lstrip())
            # a body that is nothing but its docstring would not be one without it
            rest = next((r for r in lines[last + 1:last + 4] if r.strip()), '')
            if after or len(rest) - len(rest.lstrip()) < margin or not rest:
                return None
            return first, last, clean(lines[first:last + 1])
    return None


def _comment_above(lines, n, extension):
    at = n - 1
    for _ in range(5):
        if at >= 0 and STEP_OVER.match(lines[at]) and lines[at].strip() and not lines[at].strip().startswith(('//', '/*', '*')):
            at -= 1
        else:
            break
    if at < 0:
        return None
    row = lines[at].strip()
    if extension != '.rb' and row.endswith('*/'):
        first = at
        while first >= 0 and '/*' not in lines[first] and at - first < 80:
            first -= 1
        if first < 0 or not lines[first].strip().startswith('/*'):
            return None
        return first, at, clean(lines[first:at + 1])
    mark_ = '#' if extension == '.rb' else '//'
    if row.startswith(mark_) and not row.startswith('#['):
        first = at
        while first > 0 and lines[first - 1].strip().startswith(mark_):
            first -= 1
        return first, at, clean(lines[first:at + 1])
    return None


def question_of(rng, function, measure=False):
    """What a question quotes of the comment: its first sentence, or two; its own name at the start now and then left out in training."""
    doc = function.doc
    ends = [m.end() for m in re.finditer(r'[.!?](?=\s|$)', doc)]
    ends = [e for e in ends if e >= 15] or [len(doc)]
    end = ends[0] if measure or len(ends) == 1 or rng.random() < .7 else ends[1]
    text = doc[:end].strip()
    if len(text) > 240:
        text = text[:240].rsplit(' ', 1)[0]
    if not measure and rng.random() < .6:
        text = re.sub(r'^' + re.escape(function.name) + r'(?:\(\))?(?:\s*[-:]+)?\s+(?=\w)', '', text)
    return text


def told_apart(functions_):
    """Those of the functions whose name and first sentence no other of them has (overloads, and what hands on to a sibling, share both)."""
    def sentence(f):
        return re.sub(r'\W+', ' ', question_of(None, f, True).replace(f.name, '')).lower().strip()
    names, texts = {}, {}
    for f in functions_:
        names[f.name] = names.get(f.name, 0) + 1
        texts[sentence(f)] = texts.get(sentence(f), 0) + 1
    return {id(f) for f in functions_ if names[f.name] == 1 and texts[sentence(f)] == 1}


def thinned(rng, text):
    """The words of a description as someone who half remembers it would say them: some left out, now and then in another order."""
    kept = [w for w in text.rstrip('.').split() if rng.random() < .65]
    if rng.random() < .3:
        rng.shuffle(kept)
    return ' '.join(kept) if len(kept) >= LEAST_WORDS else None


def bodies(path, lines):
    """[(name, its line and column, line behind the function's last)] of a file's functions, documented or not."""
    extension = os.path.splitext(path)[1]
    pattern = BY_EXTENSION.get('c' if extension in C_LIKE else extension)
    out = []
    for n, row in enumerate(lines if pattern else ()):
        m = pattern.match(row) if len(row) <= 200 else None
        if not m:
            continue
        group = next(i for i in range(1, pattern.groups + 1) if m[i])
        if m[group] in NOT_NAMES or extension != '.py' and not _has_body(lines, n, extension):
            continue
        margin, end = len(row) - len(row.lstrip()), n + 1
        while end < len(lines):                               # to the first line that stands no deeper and is no part of it
            line = lines[end].strip()
            if line and len(lines[end]) - len(lines[end].lstrip()) <= margin and line[0] not in '{)':
                end += line[0] == '}' or line == 'end'
                break
            end += 1
        out.append((m[group], n, m.start(group), end))
    return out


def places(text):
    """[(path, name, offset of the name, of the function's first line, of its end)] of the functions in a system text that opens with a pack."""
    out, at, rows = [], 0, text.split('\n')
    n = 0
    while n < len(rows):
        m = re.match(r'file (\S+) lines (\d+)$', rows[n])
        at += len(rows[n]) + 1
        n += 1
        if m:
            own = rows[n:n + int(m[2])]
            starts = [at]
            for row in own:
                starts.append(starts[-1] + len(row) + 1)
            out += [(m[1], name, starts[line] + column, starts[line], starts[end]) for name, line, column, end in bodies(m[1], own)]
            at, n = starts[-1], n + len(own)
    return out


def recalled(rng, name, body):
    """A few words of a function's name and body, as one who looks for it might remember them; None when it has too few."""
    own = [w.lower() for w in WORD.findall(name) if rng.random() < .6]
    others = [w for w in dict.fromkeys(re.findall(r'[A-Za-z_]{4,}', body)) if w != name and w not in NOT_NAMES]
    own += rng.sample(others, min(len(others), rng.randint(1, 4)))
    rng.shuffle(own)
    return ' '.join(own) if len(own) > 1 else None


class Piece:
    """One file of a pack, whole or a stretch of it: lines, and its functions with lines counted from its own start."""

    def __init__(self, path, lines, functions_, drop):
        """drop: functions whose comments are taken out."""
        gone = set()
        for f in drop:
            gone.update(range(f.first, f.last + 1))
        kept = [i for i in range(len(lines)) if i not in gone]
        at = {old: new for new, old in enumerate(kept)}
        self.path, self.lines = path, [lines[i] for i in kept]
        self.functions = [(f, at[f.line] + 1) for f in functions_ if f.line in at]

    @property
    def text(self):
        return '\n'.join(self.lines)


def pack(pieces, commit=None, others=()):
    """The text of a pack of these files (docs/pack.md); others: files that are not shown."""
    folders = {}
    for p in pieces:
        folder, _, base = p.path.rpartition('/')
        folders.setdefault(folder or '.', []).append(base)
    at = f' at {commit}' if commit else ''
    out = [f'repository of {len(pieces) + len(others)} file{"s" if len(pieces) + len(others) != 1 else ""}{at}\n']
    for folder in sorted(folders, key=lambda f: ('' if f == '.' else f).encode()):
        out.append(f'folder {folder}: ' + ' '.join(sorted(folders[folder])) + '\n')
    for p in sorted(pieces, key=lambda p: p.path.encode()):
        text = p.text
        n = text.count('\n') + (0 if text.endswith('\n') or not text else 1)
        out.append(f'file {p.path} lines {n}\n{text}' + ('' if text.endswith('\n') or not text else '\n'))
    out.append(f'end of base {commit}, what follows changes it\n' if commit else 'end of base, what follows changes it\n')
    out.append('end of repository')
    return ''.join(out)


class Reader:
    """Makes dialogues about the functions of one package."""

    def __init__(self, name, files):
        """files: {path: (text, [Function])}."""
        self.name, self.files = name, files
        self.paths = sorted(files)
        self.functions = [(p, f) for p in self.paths for f in files[p][1]]
        self.teller = None

    def choose(self, rng, chars):
        """Pieces of about so many characters, from files near one another: small files whole, larger ones in a stretch."""
        pieces, room = [], chars
        path, _ = rng.choice(self.functions)
        order = [path] + sorted((p for p in self.paths if p != path), key=lambda p: (p.rsplit('/', 1)[0] != path.rsplit('/', 1)[0], rng.random()))[:12]
        for p in order:
            text, found = self.files[p]
            if room < 300:
                break
            if len(text) <= room:
                pieces.append((p, text.split('\n'), found))
                room -= len(text)
            elif not pieces or rng.random() < .6:
                cut = self.stretch(rng, text, found, room)
                if cut:
                    pieces.append((p, *cut))
                    room -= sum(len(r) + 1 for r in cut[0])
        return pieces

    @staticmethod
    def stretch(rng, text, found, room):
        """(lines, functions) of a stretch that begins at a function's comment."""
        lines = text.split('\n')
        starts = [min(f.first, f.line) for f in found]
        if not starts:
            return None
        first = rng.choice(starts)
        for _ in range(40):                                   # its decorators and other lines directly above
            if first > 0 and lines[first - 1].strip() and not lines[first - 1].startswith(('}', ')')):
                first -= 1
            else:
                break
        size, last = 0, first
        while last < len(lines) and size + len(lines[last]) + 1 <= room:
            size += len(lines[last]) + 1
            last += 1
        if last < len(lines):                                 # not in the middle of a function
            back = last
            while back > first + 3 and lines[back - 1].strip() not in ('', '}'):
                back -= 1
            last = back if back > first + 3 else last
        inside = []
        for f in found:
            if first <= min(f.first, f.line) and max(f.last, f.line) + 2 < last:
                inside.append(Function(f.name, f.doc, f.line - first, f.first - first, f.last - first))
        return (lines[first:last], inside) if inside else None

    def dialogue(self, tok, rng, room, words, bare=False):
        """A pack that opens the system text, its functions' names and questions about them, as columns of a row (data.py); None when nothing fits.
        bare: of the pack only the names, so that many fit."""
        if bare:
            chosen = self.choose(rng, rng.randint(6, 100) * 300)
        else:                                                  # the system text behind the pack takes 83 tokens
            chosen = self.choose(rng, int((rng.choice([.55, .65, .7, .75]) * room - 110) * 3.1))
        if not any(found for _, _, found in chosen):
            return None
        single = told_apart([f for _, _, found in chosen for f in found])
        every = [(p, f) for p, _, found in chosen for f in found if id(f) in single]
        asked = rng.sample(every, min(len(every), max(3, room // 40)))
        all_gone = rng.random() < .6
        pieces = []
        for p, lines, found in chosen:
            drop = [f for f in found if all_gone or (p, f) in asked or rng.random() < .4]
            pieces.append(Piece(p, lines, found, drop))
        commit = ''.join(rng.choice('0123456789abcdef') for _ in range(12)) if rng.random() < .8 else None
        head = dialect.BOS + dialect.system(pack(pieces, commit, range(rng.choice([0, 0, 1, 3]))))
        defined = [(path, name) for path, name, *_ in places(head)]
        where = {(piece.path, f.name): line for piece in pieces for f, line in piece.functions}
        wanted = []           # each comment once: a second time the first answer would be what is copied; and all functions by other words
        for p, f in asked:
            text = question_of(rng, f)
            wanted.append((p, f.name, where.get((p, f.name)), rng.random() < .35 and thinned(rng, text) or text))
        others = [(piece.path, name, n + 1, '\n'.join(piece.lines[n:end])) for piece in pieces for name, n, _, end in bodies(piece.path, piece.lines)]
        names = [name for _, name, _, _ in others]
        for p, name, line, body in () if bare else others:
            if names.count(name) == 1:
                wanted.append((p, name, line, recalled(rng, name, body)))
        rng.shuffle(wanted)
        turns = []
        for p, name, line, text in wanted:
            if line and text and (p, name) in defined:
                text = ask(rng, rng.choice(WORDINGS_TRAIN), exact=True, q=text)
                turns.append(About([(dialect.user(text), 'ctx'), (f'That is `{name}', 'ans'), ('` at ', 'ans'), (p, 'none' if bare else 'ans'), (f':{line}', 'none'),
                                    ('.' + dialect.EOS, 'ans')], (p, name)))
        if self.teller and not bare and rng.random() < .25:
            self.teller.full = True
            turn = self.teller.turn()
            self.teller.full = False
            turns.insert(rng.randint(1, 3), About([(MARKED.sub(lambda m: m[1], t), r) for t, r in turn], None))
        if not bare and rng.random() < .2:                     # names that say nothing: the body has to
            swap = {f.name: invent(rng, words) for _, f in asked if rng.random() < .5 and len(f.name) > 3}
            swap = {a: b for a, b in swap.items() if b not in head and a not in KEPT}
            if swap and len(set(swap.values())) == len(swap):
                pattern = re.compile(r'(?<![A-Za-z0-9_$])(' + '|'.join(map(re.escape, swap)) + r')(?![A-Za-z0-9_$])')
                head = pattern.sub(lambda m: swap[m[0]], head)
                defined = [(path, name) for path, name, *_ in places(head)]
                turns = [About([(pattern.sub(lambda m: swap[m[0]], t), r) for t, r in turn.parts], turn.function and (
                    pattern.sub(lambda m: swap[m[0]], turn.function[0]), swap.get(turn.function[1], turn.function[1]))) for turn in turns]
        return self.columns(tok, dialect.BOS if bare else head, defined, turns, room)

    @staticmethod
    def columns(tok, head, defined, turns, room):
        """head: what stands before the reminder with the names of the functions defined, [(path, name)]."""
        from .data import encode                             # rows are data.py's, their text ours
        found, number = places(head), {}
        for turn in turns:                                         # who is asked for comes first, there are no more numbers than NAME
            if turn.function:
                number.setdefault(turn.function, len(number) + 1)
        for place in defined:
            number.setdefault(place, len(number) + 1)
        listed = head + FUNCTIONS + ' '.join(name for _, name in defined) if defined else head
        e = tok.encode(listed, add_special_tokens=False)
        starts = [a for a, _ in e.offsets]
        span = [0] * len(e.ids)

        def mark(first, end, value):
            a, b = bisect.bisect_right(starts, first) - 1, bisect.bisect_left(starts, end)
            span[a:b] = [value] * (b - a)
        for path, name, at, first, end in found:
            i = number[path, name]
            if i < NAME:
                mark(first, end, i)
                mark(at, at + len(name), i + NAME)
        at = len(head) + len(FUNCTIONS)
        for path, name in defined:
            if number[path, name] < NAME:
                mark(at, at + len(name), number[path, name] + NAME)
            at += len(name) + 1
        ids, roles, aim, n = e.ids, [CONTEXT] * len(e.ids), [0] * len(e.ids), 0
        for turn in turns:
            a, b = encode(tok, turn.parts)
            if len(ids) + len(a) > room:
                continue
            looks = [0] * len(a)
            if turn.function and number[turn.function] < NAME:
                first = len(encode(tok, turn.parts[:1])[0]) - 1    # what is learned there is the token behind it
                said = len(encode(tok, turn.parts[:2])[0]) - first - 1
                looks[1:first - 1] = [number[turn.function]] * (first - 2)    # the question without its marks
                looks[first:first + said] = [number[turn.function]] * said
            ids, roles, aim, n = ids + a, roles + b, aim + looks, n + 1
        return (ids, roles, span + [0] * (len(ids) - len(span)), aim) if n else None


FUNCTIONS = dialect.REMINDER + 'functions: '           # the reminder where a full pack is read (app/known.h)
WORDINGS_TRAIN = questions.side(questions.WORDINGS['reading'], False)
WORDINGS_HELD = questions.side(questions.WORDINGS['reading'], True)


def scan(root, name):
    """{path: (text, functions)} of a package's files that document functions."""
    rng = corpus.seeded('reading', name)
    paths = [p for p in corpus.paths(root) if not re.search(r'(?:^|/)(?:tests?|testing|spec|examples?|bench\w*)/|_test\.|test_', p)]
    rng.shuffle(paths)
    out = {}
    for path in paths:
        text = corpus.read(root, path)
        if not text or len(text) > MAX_FILE_CHARS or len(text) < 200:
            continue
        found = functions(path, text)
        if found:
            out[path] = (text, found)
            if len(out) >= MAX_FILES:
                break
    return out


def run(work):
    """Stage `reading`: the documented functions of every package to train on, under work/reading."""
    os.makedirs(os.path.join(work, 'reading'), exist_ok=True)
    for row in sources.table():
        goal = os.path.join(work, 'reading', row['package'] + '.pkl')
        root = os.path.join(work, 'src', row['package'])
        if row['split'] != 'train' or os.path.exists(goal) or not os.path.isdir(root):
            continue
        files = scan(root, row['package'])
        with open(goal + '.part', 'wb') as f:
            pickle.dump(files, f)
        os.replace(goal + '.part', goal)


def readers(work):
    """A Reader for every package to train on that documents at least eight functions."""
    out = []
    for row in sources.table():
        path = os.path.join(work, 'reading', row['package'] + '.pkl')
        if row['split'] == 'train' and os.path.exists(path):
            with open(path, 'rb') as f:
                reader = Reader(row['package'], pickle.load(f))
            if len(reader.functions) >= 8:
                out.append(reader)
    return out
