"""Conversations about one package: questions, tool calls, tool results and answers.

A turn is a list of (text, role): `ctx` is read, `call` and `ans` are learned, `none` is neither (what nothing in the text
determines).  Lines are written with marks around them until a conversation is whole: then half of the conversations have their
names, path parts and line numbers replaced, the same way from end to end, so that nothing about a package can be remembered.
"""
import re

from . import dialect, questions
from .product import CALL, DEFINITION, KIND_WORDS, PARTS, REFERENCE, RISKY, STRONG, qualifier, wanted

SYLLABLES = ('al be con der ex fo gen hash in join ker list map node op parse query ring set tab use val work x y buf '
             'ctx str len num key init free copy get put add del cmp max min utf fd log io net tcp sys mem page row '
             'col qu zor vex lum dra fin tor bel mi no ka sho rel ump').split()
OTHER_CASE = re.compile(r'\S+ is named (\S+):\n')     # how a result begins for a name in the wrong case
FIELD_OF = {tool: field for field, tool in PARTS.items()}
OPEN, CLOSE = '\ue000', '\ue001'                    # around a line number, until the shift is chosen
MARKED = re.compile(OPEN + r'(\d+)' + CLOSE)


def mark(line):
    return f'{OPEN}{line}{CLOSE}'


def mark_result(tool, text):
    """A tool's result with its line numbers marked."""
    def put(pattern, t=text):
        return re.sub(pattern, lambda m: m[0][:m.start(1) - m.start()] + mark(m[1]) + m[0][m.end(1) - m.start():], t, flags=re.M)
    if tool in ('outline', 'imports'):
        return put(r'^(\d+)(?=: )')
    if tool in ('set_value', 'add_import', 'add_statement'):
        return put(r'^edited .*:(\d+)$')
    if tool in ('rename', 'rename_everywhere'):
        return re.sub(r'(?<=: lines )\d+(?:, \d+)*', lambda m: re.sub(r'\d+', lambda n: mark(n[0]), m[0]), text)
    return put(r'^[^\s:][^\s]*?:(\d+)(?=: )')


def piece(rng, words):
    u = rng.random()
    if u < .55 and words:
        return rng.choice(words)
    if u < .85:
        return ''.join(rng.choice(SYLLABLES) for _ in range(rng.randint(1, 2)))
    return ''.join(rng.choice('abcdefghijklmnopqrstuvwxyz') for _ in range(rng.randint(2, 7)))


def invent(rng, words):
    """A random identifier; words are pieces of the training packages' own names."""
    parts = [piece(rng, words) for _ in range(rng.choice([1, 2, 2, 2, 3, 3, 4]))]
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
    found = [m for m in re.finditer(r'(?<![{\w])[A-Za-z]{4,}(?![\w}])', template)]
    if not found:
        return template
    m = rng.choice(found)
    w, i = m[0], rng.randrange(1, len(m[0]) - 1)
    w = rng.choice([w[:i] + w[i + 1] + w[i] + w[i + 2:], w[:i] + w[i + 1:], w[:i] + w[i] + w[i:]])
    return template[:m.start()] + w + template[m.end():]


def ask(rng, template, kind=None, exact=False, **fields):
    """Fills a wording in: backticks, parentheses, slips, manners and letter case vary.  exact leaves all fields bare of backticks."""
    template = re.sub(r'\(([^(){}]*\|[^(){}]*)\)', lambda m: rng.choice(m[1].split('|')), template)
    u = rng.random()
    if u < .07:
        template = mistype(rng, template)
    elif u < .17 and not template[0] == '{':
        template = template[0].swapcase() + template[1:]
    elif u < .20:
        template = re.sub(r'\{\w+\}|.', lambda m: m[0] if len(m[0]) > 1 else m[0].lower(), template)
    if rng.random() < .15:
        template = template.rstrip('?.') + rng.choice(questions.AFTER)
    if rng.random() < .12:
        before = rng.choice(questions.BEFORE)
        template = before + (template[0].lower() + template[1:] if before[-2] != '.' and rng.random() < .5 else template)
    quote = rng.choice(['`', '`', "'", '"']) if rng.random() < .3 else ''
    shown = dict(fields)
    if not exact:
        for k in ('x', 'y'):
            if k in shown:
                v = shown[k]
                if kind in ('function', 'method') and rng.random() < .13:
                    v += '()'
                v = quote + v + quote
                if k == 'x' and kind in KIND_WORDS and '{k}' not in template and rng.random() < .1 and \
                        not re.search(r'(?:function|method|struct|constant|macro|name|type|file|symbol|member|class) \{x\}', template):
                    v = (f'{kind} ' if rng.random() < .5 else f'the {kind} ') + v if rng.random() < .7 else f'{v} ({kind})'
                shown[k] = v
        for k in ('f', 'm', 'd'):
            if k in shown and rng.random() < .12:
                shown[k] = f'`{shown[k]}`'
    return template.format(**shown)


def suffix(rng, path, paths):
    """The path, or a shorter end of it that means it alone."""
    parts = path.split('/')
    if len(parts) > 1 and rng.random() < .6:
        end = '/'.join(parts[-rng.choice([1, 1, 1, 2]):])
        if sum(p == end or p.endswith('/' + end) for p in paths) == 1:
            return end
    return path


def judge(argument):
    """bounded, unbounded or unclear, by the argument that a result of `call_sites` tells: bounded when it is a constant, a size or a literal, or a
    format that copies no string; unclear when there is none (`?`)."""
    if argument == '?':
        return 'unclear'
    if argument.startswith('"') and '%' in argument:
        return 'unbounded' if re.search(r'%[-+ #0-9.*]*(?:l?s|\[)', argument) else 'bounded'
    if 'sizeof' in argument or re.match(r'(?:\(?\d|[A-Z][A-Z0-9_]{2,}\b|[LuU]?"|\'.)', argument):
        return 'bounded'
    return 'unbounded'


class Turn(list):
    """[(text, role)]; keep: names that must stay as they are."""

    def __init__(self, parts, keep=()):
        super().__init__(parts)
        self.keep = set(keep)


class Teller:
    """Makes turns about one package."""

    def __init__(self, package, rng, held, words):
        self.p, self.rng, self.held, self.words = package, rng, held, words
        self.wordings = {k: questions.side(v, held) for k, v in questions.WORDINGS.items()}
        self.tasks = questions.side(questions.TASKS, held)
        found = [a[0] for a in package.asked.get('find_symbol', []) if a[0] in package.by_name]
        self.known = found
        self.strong = [n for n in found if any(r[2] in STRONG for r in package.by_name[n])] or found
        self.double = [n for n in found if len(self.wanted(n)) > 1]
        self.used = [a[0] for a in package.asked.get('find_refs', []) if a[0] in package.by_name and REFERENCE.search(package.replies['find_refs', a[0]]['text'])]
        self.library = [a[0] for a in package.asked.get('call_sites', []) if a[0] in RISKY and a[0] not in package.by_name]
        self.called = [a[0] for a in package.asked.get('call_sites', []) if not package.replies['call_sites', a[0]]['text'].startswith('no calls of')]
        self.blocks = {}
        for (n,) in package.asked.get('describe', []):
            if n in package.by_name:
                self.blocks[n] = describe_blocks(package.replies['describe', n]['text'])
        self.with_field = {f: [n for n, bs in self.blocks.items() if any(f in b for b in bs)]
                           for f in ('parameters', 'returns', 'fields', 'value', 'doc', 'signature')}
        self.functions = [n for n in self.with_field['parameters'] if any(b['kind'] in ('function', 'method') for b in self.blocks[n])]
        self.files = [a[0] for a in package.asked.get('outline', [])]
        self.by_use = None
        self.full = False                                     # whole files are in the context

    # ---- pieces

    def word(self, skill):
        return self.rng.choice(self.wordings[skill])

    def reply(self, tool, *arguments):
        return self.p.replies.get((tool, *arguments))

    def asked(self, text, own=None):
        """A question; own: kinds of names that are not as the index has them."""
        return (dialect.asked(text, None if self.full else self.p.known.of(text, own)), 'ctx')

    def question(self, skill, kind=None, exact=False, own=None, **fields):
        return self.asked(ask(self.rng, self.word(skill), kind, exact, **fields), own)

    def call(self, tool, text, **arguments):
        return [(dialect.call(tool, **arguments), 'call'), (dialect.tool_result(mark_result(tool, text)), 'ctx')]

    def answer(self, which, places=(), **holes):
        return [(dialect.say(which, [_cited(p) for p in places], **_cited(holes)) + dialect.EOS, 'ans')]

    def path_answer(self, which, asked, path, places=()):
        """A sentence that opens with a path; what the question's shorter path leaves out is determined by nothing."""
        text = dialect.say(which, [_cited(p) for p in places], path=path) + dialect.EOS
        if asked != path and path.endswith(asked):
            n = len(path) - len(asked)
            return [(text[:n], 'none'), (text[n:], 'ans')]
        return [(text, 'ans')]

    def wanted(self, name):
        return wanted(self.p.replies['find_symbol', name]['text'])

    def name(self, pool):
        return self.rng.choice(pool) if pool else None

    # ---- skills; each returns a Turn, or None when the package has nothing for it

    def define(self):
        rng = self.rng
        if rng.random() < .35 and self.p.asked.get('find_symbol_in'):
            name, place = rng.choice(self.p.asked['find_symbol_in'])
            return self._define(name, self.p.replies['find_symbol_in', name, place]['text'], place)
        name = self.name(self.double if rng.random() < .3 and self.double else self.known if rng.random() < .15 else self.strong)
        return self._define(name, self.p.replies['find_symbol', name]['text']) if name else None

    def _define(self, name, text, place=None, own=None):
        rows = wanted(text)
        if not rows:
            return None
        end = self.answer('defined', symbol=name, cite=rows[0][:2]) if len(rows) == 1 else \
            self.answer('several', [dict(cite=r[:2]) for r in rows], symbol=name)
        if not place:
            kind = rows[0][2] if len(rows) == 1 else None
            return Turn([self.question('define all' if self.rng.random() < .12 else 'define', kind, own=own, x=name),
                         *self.call('find_symbol', text, name=name), *end])
        key = 'k' if place in KIND_WORDS else 'f' if any(place == r[0] or place == r[0].rsplit('/', 1)[-1] for r in rows) else 'd'
        head = self.question({'k': 'define kind', 'd': 'define folder', 'f': 'define file'}[key], own=own, x=name, **{key: place})
        return Turn([head, *self.call('find_symbol_in', text, name=name, place=place), *end])

    def choice(self):
        """One name with several definitions, put together from unrelated ones."""
        rng = self.rng
        name = rng.choice(self.strong) if rng.random() < .5 else invent(rng, self.words)
        rows = {}
        for _ in range(rng.choice([2, 2, 3, 4, 6])):
            other = rng.choice(self.strong if rng.random() < .8 else self.known)
            m = DEFINITION.match(self.p.replies['find_symbol', other]['text'].split('\n')[0])
            if m:
                rows[(m[1], int(m[2]), m[3])] = re.sub(r'(?<![\w$])' + re.escape(other) + r'(?![\w$])', name, m[4])
        rank = {'field': 1, 'member': 1, 'enumerator': 1, 'variable': 1, 'prototype': 2}
        order = sorted(rows, key=lambda r: (rank.get(r[2], 0), r[0].encode(), r[1]))
        if not order:
            return None
        own = {name: order[0][2]}
        place = qualifier(rng, [r for r in order if r[2] != 'prototype'] or order) if rng.random() < .6 else None
        if place:
            bare = place.rstrip('/')
            order = [r for r in order if place == r[2] or ('/' + r[0]).endswith('/' + place) or f'/{bare}/' in f'/{r[0]}']
        return self._define(name, '\n'.join(f'{p}:{n}: {k} {rows[(p, n, k)]}' for p, n, k in order), place, own)

    def uses(self):
        rng = self.rng
        name = self.name(self.used or self.strong)
        for _ in range(4):                                    # short lists more often: they fit more turns
            if name and (self.p.uses.get(name, 0) <= 4 or rng.random() < .5):
                break
            name = self.name(self.used or self.strong)
        if not name or not self.reply('find_refs', name):
            return None
        return self._uses(name)

    def _uses(self, name, skill='uses'):
        text = self.reply('find_refs', name)['text']
        rows = [m for m in map(REFERENCE.match, text.split('\n')) if m]
        head = self.question(skill, self.p.by_name[name][0][2] if name in self.p.by_name else None, x=name)
        m = OTHER_CASE.match(text)
        real = m[1] if m else name
        end = self.answer('used', [dict(cite=(m[1], int(m[2])), enclosing=m[4]) for m in rows], symbol=real) if rows \
            else self.answer('unused', symbol=real)
        return Turn([head, *self.call('find_refs', text, name=name), *end], {name, real} if m else ())

    def risky(self):
        rng = self.rng
        if rng.random() < .5 or not self.called:
            name, text = self._made_calls()
        else:
            for _ in range(8):                                # short lists, and lists whose verdicts differ, more often
                name = rng.choice(self.library if self.library and rng.random() < .5 else self.called)
                text = self.reply('call_sites', name)['text']
                kinds = {judge(m[3]) for m in map(CALL.match, text.split('\n')) if m}
                if (len(kinds) > 1 or kinds != {'unbounded'} or rng.random() < .15) and (self.p.uses.get(name, 0) <= 4 or rng.random() < .4):
                    break
            new = name if name in RISKY or rng.random() < .4 else rng.choice(RISKY)
            text, name = re.sub(r'(?<![\w$])' + re.escape(name) + r'(?![\w$])', new, text), new
        rows = [m for m in map(CALL.match, text.split('\n')) if m]
        places = [dict(cite=(m[1], int(m[2])), bounded=judge(m[3]), enclosing=m[4]) for m in rows]
        end = self.answer('judged', places, symbol=name) if places else self.answer('uncalled', symbol=name)
        return Turn([self.question('risky', 'function', x=name), *self.call('call_sites', text, name=name), *end], {name})

    def _made_calls(self):
        """(name, result): calls of a risky function at places of unrelated calls, so that all verdicts are practised."""
        rng = self.rng
        name = rng.choice(RISKY) if rng.random() < .8 else invent(rng, self.words)
        rows = []
        for _ in range(rng.choice([1, 2, 2, 3, 4, 5, 7])):
            other = rng.choice(self.called or self.used or self.strong)
            m = REFERENCE.match(self.reply('find_refs', other)['text'].split('\n')[0]) if self.reply('find_refs', other) else None
            if m:
                a, b, c = (invent(rng, self.words) for _ in range(3))
                first = rng.choice([a, a, f'{a}->{b}', f'&{a}', f'{a} + {b}', f'{a}.{b}', f'{a}[{rng.randint(0, 9)}]'])
                last = rng.choice([f'sizeof({a})', f'sizeof({a}) - 1', f'sizeof *{a}', str(rng.randint(1, 512)), b.upper(), c.upper(), f'"{b}"', '""', f'"{b} {c}\\n"',
                                   b, c, f'{b}->{c}', f'strlen({b})', f'{b}({c})', f'argv[{rng.randint(1, 3)}]', f'{b}.len', f'{b} + {rng.randint(1, 9)}',
                                   f'"%s", {b}', f'"%d", {b}', f'"{c} %s", {b}', f'"{c}=%u", {b}'])
                middle = [rng.choice([c, f'sizeof {a}', '64'])] if rng.random() < .4 else []
                told = last.split('", ')[0] + '"' if last.startswith('"') and '%' in last else last
                if name in ('snprintf', 'vsnprintf', 'fgets'):
                    told = (middle or [last.split(', ')[0]])[0]
                line = rng.choice(['', '', '', f'{c} = ', 'return ', 'if (', '(void)']) + f'{name}({", ".join([first, *middle, last])})'
                line += ') {' if line.startswith('if (') else ';'
                if rng.random() < .15:
                    line = line[:rng.randint(len(name) + 4, max(len(name) + 5, len(line) - 3))]
                    told = told if rng.random() < .6 else '?'
                cut = [t.encode()[:n].decode(errors='ignore').strip() for t, n in ((told, 40), (line, 60))]
                rows.append((m[1], int(m[2]), cut[0], m[4], cut[1]))
        rows = sorted({r[:2]: r for r in rows}.values(), key=lambda r: (r[0].encode(), r[1]))
        return name, '\n'.join(f'{p}:{n}: {a} in {e}: {t}' for p, n, a, e, t in rows) or f'no calls of {name}'

    def described(self, field):
        """A question about one part of what a definition says: parameters, returns, fields, value or doc."""
        rng = self.rng
        pool = self.with_field['fields' if field == 'fields' else 'value' if field == 'value' else 'returns' if field == 'returns' else 'parameters']
        if field == 'parameters':
            pool = self.functions
        if field == 'doc':
            pool = self.with_field['doc'] if rng.random() < .65 else self.with_field['signature'] or self.with_field['value']
        name = self.name(pool)
        if not name:
            return None
        text = self.reply(PARTS[field], name)['text']
        end = self._described(name, field, text)
        if not end:
            return None
        return Turn([self.question(field, self.p.by_name[name][0][2], x=name), *self.call(PARTS[field], text, name=name), *end])

    def _described(self, name, field, text):
        blocks = describe_blocks(text)
        if field == 'doc':
            for which, hole in (('doc', 'doc'), ('no doc', 'signature'), ('value', 'value')):
                for b in blocks:
                    if hole in b:
                        return self.answer(which, symbol=name, cite=b['cite'], **{hole: b[hole]})
            return None
        b = next((b for b in blocks if field in b), None)
        if not b:
            return None
        if field == 'parameters' and b[field] == 'none':
            return self.answer('takes nothing', symbol=name, cite=b['cite'])
        if field == 'returns' and b[field] in ('nothing', 'not declared'):
            return self.answer('returns nothing' if b[field] == 'nothing' else 'returns undeclared', symbol=name, cite=b['cite'])
        which = {'parameters': 'takes'}.get(field, field)
        return self.answer(which, symbol=name, cite=b['cite'], **{field: b[field]})

    def file(self):
        rng = self.rng
        asked = self.name([a[0] for a in self.p.asked.get('find_file', [])])
        if not asked:
            return None
        return self._file(asked)

    def _file(self, asked):
        text = self.reply('find_file', asked)['text']
        call = self.call('find_file', text, name=asked)
        if text.startswith('no file named'):
            end = self.answer('no file', symbol=asked)
        else:
            rows = [r for r in text.split('\n') if not re.fullmatch(r'and \d+ more', r)]
            end = self.answer('file', path=rows[0]) if len(rows) == 1 else self.answer('files', [dict(path=r) for r in rows])
        return Turn([self.question('file', x=asked), *call, *end])

    def no_one_file(self, skill):
        """A file that is not there, or an end of a path that means several."""
        rng = self.rng
        bases = {}
        for p in self.p.paths:
            bases.setdefault(p.rsplit('/', 1)[-1], []).append(p)
        several = sorted(b for b, ps in bases.items() if len(ps) > 1 and b not in ps)
        if several and rng.random() < .5:
            asked = rng.choice(several)
            rows = sorted(bases[asked], key=str.encode)
            text = f'several files end in {asked}:\n' + '\n'.join(rows[:8]) + (f'\nand {len(rows) - 8} more' if len(rows) > 8 else '')
            end = self.answer('files', [dict(path=r) for r in rows[:8]])
        else:
            asked = '/'.join(piece(rng, self.words) for _ in range(rng.choice([1, 1, 2]))) + rng.choice(['.c', '.h', '.py', '.go', '.rs', '.js', '.java', '.rb'])
            text, end = f'no file named {asked}', self.answer('no file', symbol=asked)
        return Turn([self.question(skill, f=asked), *self.call(skill, text, path=asked), *end])

    def outline(self):
        path = self.name(self.files)
        if not path:
            return None
        if not self.held and self.rng.random() < .08:
            return self.no_one_file('outline')
        reply, asked = self.reply('outline', path), suffix(self.rng, path, self.p.paths)
        places = [dict(cite=tuple(c), name=h.get('name')) for c, h in zip(reply.get('places', []), reply.get('holes', []))]
        if any(not p['name'] for p in places):
            return None
        end = self.path_answer('outline', asked, path, places) if places else self.path_answer('no outline', asked, path)
        return Turn([self.question('outline', f=asked), *self.call('outline', reply['text'], path=asked), *end])

    def imports(self):
        path = self.name(self.files)
        if not path:
            return None
        if not self.held and self.rng.random() < .08:
            return self.no_one_file('imports')
        reply, asked = self.reply('imports', path), suffix(self.rng, path, self.p.paths)
        places = [{'cite': tuple(c), 'import': h['import']} for c, h in zip(reply.get('places', []), reply.get('holes', []))]
        end = self.path_answer('imports', asked, path, places) if places else self.path_answer('no imports', asked, path)
        return Turn([self.question('imports', f=asked), *self.call('imports', reply['text'], path=asked), *end])

    def importers(self):
        asked = self.name([a[0] for a in self.p.asked.get('importers', [])])
        if not asked:
            return None
        reply = self.reply('importers', asked)
        end = self.answer('importers', [dict(cite=tuple(c)) for c in reply['places']], symbol=asked) if reply['places'] \
            else self.answer('no importers', symbol=asked)
        return Turn([self.question('importers', m=asked), *self.call('importers', reply['text'], name=asked), *end])

    def calls(self):
        pair = self.name(self.p.asked.get('calls', []))
        if not pair:
            return None
        a, b = pair
        reply = self.reply('calls', a, b)
        if reply['places']:
            end = self.answer('calls', symbol=a, callee=b, cite=tuple(reply['places'][0]))
        elif reply['text'].startswith('no symbol'):
            end = self._absent(a, reply)
        else:
            end = self.answer('no call', symbol=a, callee=b)
        return Turn([self.question('calls', 'function', x=a, y=b), *self.call('calls', reply['text'], caller=a, callee=b), *end])

    def grep(self):
        rng = self.rng
        pattern = self.name([a[0] for a in self.p.asked.get('grep', [])])
        if not pattern:
            return None
        reply = self.reply('grep', pattern)
        shown = pattern
        if ' ' in pattern or rng.random() < .5:
            q = rng.choice(['"', '"', "'", '`'])
            shown = q + pattern + q
        end = self.answer('stands', [dict(cite=tuple(c)) for c in reply['places']], symbol=pattern) if reply['places'] \
            else self.answer('no line', symbol=pattern)
        return Turn([self.question('grep', exact=True, t=shown), *self.call('grep', reply['text'], pattern=pattern), *end],
                    set(re.findall(r'\w+', pattern)))

    # ---- what is not there

    def _absent(self, name, reply):
        if reply.get('similar'):
            return self.answer('similar', symbol=name, similar=', '.join(reply['similar']))
        return self.answer('absent', symbol=name)

    def absent(self):
        """A name that is not there: in the wrong case, misspelt, or invented."""
        rng, u = self.rng, self.rng.random()
        if u < .2:
            name = invent(rng, self.words)
            if name in self.p.by_name or name.lower() in self.p.folded:
                return None
            tool, field = rng.choice([('find_symbol', 'define'), ('find_symbol', 'define'), ('part', rng.choice(list(PARTS))),
                                      ('find_refs', 'uses'), ('call_sites', 'risky'), ('calls', 'calls')])
            tool = PARTS.get(field, tool)
            for none, text, which in (('find_refs', 'no references to', 'unused'), ('call_sites', 'no calls of', 'uncalled')):
                if tool == none:
                    return Turn([self.question(field, x=name), *self.call(tool, f'{text} {name}', name=name), *self.answer(which, symbol=name)])
            reply = dict(text=f'no symbol named {name}')
            if tool == 'calls':
                y = rng.choice(self.strong)
                return Turn([self.question('calls', x=name, y=y), *self.call('calls', reply['text'], caller=name, callee=y), *self._absent(name, reply)])
            return Turn([self.question(field, x=name), *self.call(tool, reply['text'], name=name), *self._absent(name, reply)])
        if u < .3:
            name = self.name([a[0] for a in self.p.asked.get('find_refs', []) if a[0] not in self.p.by_name])
            return self._uses(name) if name else None
        if u < .4:
            name = self.name([a[0] for a in self.p.asked.get('find_file', []) if self.reply('find_file', a[0])['text'].startswith('no file')])
            return self._file(name) if name else None
        field = rng.choice(['define', 'define', 'define', 'define', 'define', *PARTS])
        tool = PARTS.get(field, 'find_symbol')
        name = self.name([a[0] for a in self.p.asked.get(tool, []) if a[0] not in self.p.by_name])
        if not name:
            return None
        return self._meant(tool, field, name)

    def qualified(self):
        """A name with what it stands in before it: Class.name."""
        made = self.name(self.p.asked.get('qualified'))
        if not made:
            return None
        tool, name = made
        if tool == 'find_refs':
            return self._uses(name)
        return self._meant(tool, FIELD_OF.get(tool, 'define'), name)

    def _meant(self, tool, field, name):
        """A question about a name that is not there as it is written."""
        reply = self.reply(tool, name)
        head = [self.question(field, x=name), *self.call(tool, reply['text'], name=name)]
        m = OTHER_CASE.match(reply['text'])
        if not m:
            return Turn([*head, *self._absent(name, reply)], {name, *reply.get('similar', [])})
        if tool == 'find_symbol':
            rows = wanted(reply['text'])
            end = self.answer('defined', symbol=m[1], cite=rows[0][:2]) if len(rows) == 1 else \
                self.answer('several', [dict(cite=r[:2]) for r in rows], symbol=m[1])
        else:
            end = self._described(m[1], field, reply['text'][m.end():])
        return Turn([*head, *end], {name, m[1]}) if end else None

    def decline(self):
        rng = self.rng
        names = self.strong
        if not self.full and self.with_field['doc'] and rng.random() < .08:      # without the files there is nothing to read
            b = next(b for b in self.blocks[rng.choice(self.with_field['doc'])] if 'doc' in b)
            text = ask(rng, self.word('reading'), exact=True, q=re.split(r'(?<=[.!?])\s', b['doc'])[0])
            return Turn([self.asked(text), *self.answer('decline')])
        wording = self.word('decline')
        if rng.random() < .45:
            thing = '{x}' if rng.random() < .7 else rng.choice(questions.OBJECTS)
            wording = rng.choice(questions.MANNERS) + rng.choice(self.tasks) + ' ' + thing + rng.choice(['', '.', '?'])
        text = ask(rng, wording, 'function', x=rng.choice(names), y=rng.choice(names) if rng.random() < .5 else invent(rng, self.words))
        return Turn([self.asked(text), *self.answer('decline')])

    # ---- edits

    def tried(self, tool):
        """{first argument: reply} of an edit tool, as it was tried with `product.TRIED`."""
        return {a[0]: self.reply(tool, *a) for a in self.p.asked.get(tool, [])}

    def edited(self, tool, text, **arguments):
        """The call and what is said of it."""
        return [*self.call(tool, text, **arguments), *self.answer('done' if text.startswith(('edited ', 'renamed ')) else 'no edit')]

    def choose_edit(self, tool, refused):
        """A first argument of an edit tool and its result: one that was done or, by that chance, refused."""
        tried = self.tried(tool)
        done = [n for n, r in tried.items() if r['text'].startswith(('edited ', 'renamed '))]
        other = [n for n, r in tried.items() if n not in done and not r['text'].startswith('no symbol')]
        name = self.name(other if self.rng.random() < refused and other else done)
        return name, name and tried[name]['text']

    def constant(self):
        rng = self.rng
        name, text = self.choose_edit('set_value', .06)
        if not name:
            return None
        holes = [h['value'] for h in self.reply('value', name).get('holes', []) if 'value' in h] if self.reply('value', name) else []
        value = new_value(rng, holes[0] if holes else '1')
        if holes and (value == holes[0] or not plain_value(holes[0]) and rng.random() < .85):
            return None
        return Turn([self.question('constant edit', x=name, v=value, w=holes[0] if holes else '0'),
                     *self.edited('set_value', text, name=name, value=value)])

    def rename(self):
        rng = self.rng
        new = invent(rng, self.words)
        if rng.random() < .5:                                 # without a file: wherever it stands
            name, text = self.choose_edit('rename_everywhere', .1)
            return Turn([self.question('rename', 'function', x=name, y=new),
                         *self.edited('rename_everywhere', text, old=name, new=new)]) if name else None
        name = self.name(list(self.tried('rename_everywhere')))
        if not name:
            return None
        path, line, _ = self.wanted(name)[0]
        asked = suffix(rng, path, self.p.paths)
        text = self._renamed(path, line)
        if rng.random() < .1:
            name = invent(rng, self.words)
            text = f'no name {name} in {path}'
        return Turn([self.question('rename in file', 'function', x=name, y=new, f=asked),
                     *self.edited('rename', text, path=asked, old=name, new=new)])

    def _renamed(self, path, line):
        rng = self.rng
        at = sorted({line, *(max(1, line + rng.randint(-200, 400)) for _ in range(rng.choice([0, 0, 1, 2, 3])))})
        return f'renamed {len(at)} places in {path}: lines ' + ', '.join(map(str, at))

    def rename_absent(self):
        rng = self.rng
        name = self.name([a[0] for a in self.p.asked.get('find_symbol', []) if a[0] not in self.p.by_name])
        if not name:
            return None
        reply, new = self.reply('find_symbol', name), invent(rng, self.words)
        if not reply['text'].startswith('no symbol'):
            return None
        return Turn([self.question('rename', x=name, y=new), *self.call('rename_everywhere', reply['text'], old=name, new=new),
                     *self._absent(name, reply)], {name, *reply.get('similar', [])})

    def include(self):
        rng = self.rng
        path, text = self.choose_edit('add_import', 0)
        last = path and self.reply('imports', path)
        made = last and last.get('holes') and new_import(rng, path, last['holes'][-1]['import'], self.words)
        if not made:
            return None
        line, module = made
        if any((module or line).strip('<>"') in h['import'] for h in last['holes']):
            return None
        asked = suffix(rng, path, self.p.paths)
        c_like = path.endswith(('.c', '.h', '.cc', '.cpp', '.hpp', '.cxx', '.hh'))
        if c_like and module and rng.random() < .4:           # as people say it
            module = module.strip('<>"')
        fits = [w for w in self.wordings['include edit'] if ('{s}' in w) or (module and '{m}' in w)]
        fits = [w for w in fits if '{s}' in w or ('include' in w) == c_like or 'needs' in w] or fits
        wording = rng.choice(fits)
        question = ask(rng, wording, s=f'`{line}`' if rng.random() < .5 else line, m=module, f=asked)
        return Turn([self.asked(question),
                     *self.edited('add_import', text, path=asked, **{'import': line if '{s}' in wording else module})])

    def start(self):
        """A statement at the start of a function: an early return, or a log line."""
        rng = self.rng
        name, text = self.choose_edit('add_statement', .05)
        if not name:
            return None
        early, path = rng.random() < .5, self.p.by_name[name][0][0]
        wording = self.word('early return' if early else 'log line')
        statement = new_statement(rng, path, early, self.words, name) if '{s}' in wording else 'return'
        if rng.random() < .15:
            statement = statement.removesuffix(';')
        question = ask(rng, wording, 'function', x=name, s=f'`{statement}`' if rng.random() < .6 else statement)
        return Turn([self.asked(question), *self.edited('add_statement', text, name=name, statement=statement)])

    SKILLS = dict(define=13, choice=4, uses=11, risky=7, parameters=7, returns=7, fields=6, value=6, doc=9, file=6, outline=7, imports=7,
                  importers=6, calls=7, grep=4, absent=10, qualified=6, decline=12, constant=8, rename=8, rename_absent=1, include=8, start=8)

    def turn(self, skills=None):
        skills = skills or self.SKILLS
        for _ in range(50):
            skill = self.rng.choices(list(skills), list(skills.values()))[0]
            made = self.described(skill) if skill in ('parameters', 'returns', 'fields', 'value', 'doc') else getattr(self, skill)()
            if made and sum(len(t) for t, _ in made) <= 3200 and 'DSML' not in ''.join(t for t, r in made if r == 'ans'):
                return made
        return self.decline()

    def map(self, budget_lines):
        """The map that opens the system text: the files whose names are used most, by path."""
        if budget_lines <= 0:
            return ''
        p = self.p
        if self.by_use is None:
            use = {path: sum(p.uses.get(n, 0) + 1 for n in names) for path, names in p.map_lines.items()}
            self.by_use = sorted(use, key=lambda path: (-use[path], path))
        rows = [f'repository {p.name}, {p.n_files} files']
        for path in sorted(self.by_use[:budget_lines]):
            row = path + ':'
            for name in p.map_lines[path]:
                if len((row + ' ' + name).encode()) > 100:
                    break
                row += ' ' + name
            rows.append(row)
        rows.append(f'and {p.n_files - len(rows) + 1} more files')
        return '\n'.join(rows)


def _cited(row):
    return {k: (v[0], mark(v[1])) if k == 'cite' else v for k, v in row.items()}


def describe_blocks(text):
    """The blocks of a result of `describe` or a tool for a part of it, each a dict with cite, kind and the parts it has."""
    out = []
    for block in text.split('\n\n'):
        rows = block.split('\n')
        m = re.match(r'^(\S+):(\d+): (\w+)$', rows[0])
        if m:
            one = dict(cite=(m[1], int(m[2])), kind=m[3])
            for row in rows[1:]:
                k, colon, v = row.partition(': ')
                if colon and k in ('signature', 'parameters', 'returns', 'fields', 'value', 'line', 'doc'):
                    one[k] = v
            out.append(one)
    return out


# ---- what edits put in

def plain_value(value):
    return bool(re.fullmatch(r'-?(?:0[xX][0-9a-fA-F]+|\d[\d_]*(?:\.\d+)?)[uUlLfF]*|"[^"\\]*"|\'[^\'\\]*\'|true|false|True|False|NULL|nil|None|null', value))


def new_value(rng, value):
    """Another value of the same look."""
    m = re.fullmatch(r'(\(?)(-?)(0[xX][0-9a-fA-F]+|\d[\d_]*(?:\.\d+)?)([uUlLfF]*)(\)?)', value)
    if m:
        number = m[3]
        if number.lower().startswith('0x'):
            new = '0x' + ''.join(rng.choice('0123456789abcdef') for _ in range(len(number) - 2))
        elif '.' in number:
            new = f'{rng.randint(0, 99)}.{rng.randint(0, 99)}'
        else:
            new = str(rng.choice([rng.randint(0, 9), rng.randint(10, 99), rng.randint(100, 9999), 2 ** rng.randint(3, 16), int(number.replace('_', '')) + 1]))
        return m[1] + (m[2] if rng.random() < .7 else '') + new + (m[4] if rng.random() < .8 else '') + m[5]
    m = re.fullmatch(r'(["\'])(.*)\1', value)
    if m:
        words = [rng.choice(SYLLABLES) for _ in range(rng.randint(1, 3))]
        return m[1] + rng.choice(['-', '_', ' ', '', '.', '/']).join(words) + m[1]
    flip = {'true': 'false', 'false': 'true', 'True': 'False', 'False': 'True'}
    return flip.get(value) or str(rng.choice([0, 1, 2, 8, 16, 100, 4096, rng.randint(3, 9999)]))


def new_import(rng, path, old, words):
    """(line, module): an import line in the form of the file's last one; module is None when the form hangs on more than its name."""
    def dotted(n, sep, caps=False):
        parts = [piece(rng, words).lower() for _ in range(n)]
        if caps:
            parts[-1] = parts[-1].capitalize()
        return sep.join(parts)
    if path.endswith(('.c', '.h', '.cc', '.cpp', '.hpp', '.cxx', '.hh')):
        if not old.startswith('#include'):
            return None
        name = rng.choice(['stdbool.h', 'string.h', 'stdint.h', 'errno.h', 'limits.h', 'math.h', 'time.h', 'assert.h', 'ctype.h', 'signal.h', 'vector', 'memory',
                           dotted(1, '/') + '.h', dotted(2, '/') + '.h', dotted(2, '_') + '.h', dotted(1, '') + '.hpp'])
        module = f'<{name}>' if rng.random() < .55 else f'"{name}"'
        return f'#include {module}', module
    if path.endswith('.py') and re.match(r'(?:import|from) ', old):
        module = rng.choice(['os', 'sys', 're', 'json', 'time', 'typing', 'logging', 'functools', dotted(1, '.'), dotted(2, '.')])
        return (f'import {module}', module) if rng.random() < .7 else (f'from {module} import {invent(rng, words)}', None)
    if path.endswith('.go') and re.match(r'(?:_ )?"', old):
        module = rng.choice(['os', 'fmt', 'bytes', 'errors', 'net/http', 'path/filepath', dotted(2, '/'), 'github.com/' + dotted(2, '/')])
        return f'"{module}"', module
    if path.endswith('.java') and old.startswith('import '):
        module = rng.choice(['java.util.List', 'java.util.Map', 'java.io.IOException', dotted(3, '.', True), dotted(4, '.', True)])
        return f'import {module};', module
    if path.endswith('.rs') and re.match(r'use [\w:]+', old):
        module = rng.choice(['std::fmt', 'std::io', 'std::collections::HashMap', 'crate::' + dotted(1, ''), dotted(2, '::', True)])
        return f'use {module};', module
    if path.endswith('.rb') and old.startswith('require '):
        module = rng.choice(['set', 'json', 'time', 'logger', dotted(1, '/'), dotted(2, '/')])
        quote = '"' if '"' in old else "'"
        return f'require {quote}{module}{quote}', module
    if path.endswith('.php') and old.startswith('use '):
        module = '\\'.join(piece(rng, words).capitalize() for _ in range(rng.randint(2, 3)))
        return f'use {module};', module
    if path.endswith(('.js', '.mjs', '.ts')):
        name, module = piece(rng, words), rng.choice(['fs', 'path', './' + dotted(1, ''), '../' + dotted(2, '/'), dotted(1, '')])
        if 'require(' in old and re.match(r'(?:const|var|let) ', old):
            word = old.split()[0]
            return f"{word} {name} = require('{module}')" + (';' if old.endswith(';') else ''), None
        if old.startswith('import '):
            return f"import {name} from '{module}'" + (';' if old.endswith(';') else ''), None
    return None


def new_statement(rng, path, early, words, name):
    """A statement in the language of the file."""
    end = '' if path.endswith(('.py', '.go', '.rb')) else ';'
    x = invent(rng, words)
    if early:
        value = rng.choice(['', '0', '-1', '1', 'NULL', x, 'false', 'true', 'x', 'nil', 'None', 'err', 'result', '""', str(rng.randint(2, 99))])
        if path.endswith('.py'):
            value = {'NULL': 'None', 'nil': 'None', 'false': 'False', 'true': 'True'}.get(value, value)
        elif path.endswith('.go'):
            value = {'NULL': 'nil', 'None': 'nil'}.get(value, value)
        elif path.endswith('.java'):
            value = {'NULL': 'null', 'nil': 'null', 'None': 'null'}.get(value, value)
        elif path.endswith('.rs'):
            value = {'NULL': 'None', 'nil': 'None'}.get(value, value)
        text = f'return {value}'.rstrip() + end
        if rng.random() < .25:
            if path.endswith(('.c', '.cc', '.cpp', '.java', '.js', '.ts', '.php')):
                text = f'if ({x} {rng.choice(["==", "<", "!="])} {rng.choice(["0", "NULL", "1", "null"])}) ' + text
            elif path.endswith(('.go', '.rs')):
                text = f'if {x} == {rng.choice(["0", "1"])} {{ ' + text + ' }'
            elif path.endswith('.py'):
                text = f'if {x}: ' + text
        return text
    said = rng.choice([name, x, 'enter ' + name, 'called', 'here', name + ' called', ' '.join(rng.choice(SYLLABLES) for _ in range(2))])
    q = '"'
    if path.endswith(('.c', '.h', '.cc', '.cpp', '.cxx', '.hpp', '.hh')):
        form = rng.choice(['printf("{}\\n");', 'fprintf(stderr, "{}\\n");', 'puts("{}");', 'log_debug("{}");', 'LOG("{}");', 'trace("{}");', x + '("{}");'])
    elif path.endswith('.py'):
        form = rng.choice(["print('{}')", 'print("{}")', "logging.debug('{}')", "log.info('{}')", "logger.debug('{}')", "self.log('{}')"])
    elif path.endswith('.go'):
        form = rng.choice(['fmt.Println("{}")', 'log.Println("{}")', 'log.Printf("{}")', 'logger.Debug("{}")'])
    elif path.endswith('.rs'):
        form = rng.choice(['println!("{}");', 'eprintln!("{}");', 'debug!("{}");', 'log::info!("{}");'])
    elif path.endswith('.java'):
        form = rng.choice(['System.out.println("{}");', 'log.debug("{}");', 'LOGGER.info("{}");'])
    elif path.endswith('.php'):
        form = rng.choice(["error_log('{}');", "echo '{}';"])
    else:
        form = rng.choice(["console.log('{}');", 'console.debug("{}");', "debug('{}');"])
    return form.replace('{}', said)


# ---- conversations

PATH_PART = re.compile(r'(?<![A-Za-z0-9_])([A-Za-z0-9_\-]{2,})(?=[/.][A-Za-z])')
NAME_ARGUMENT = re.compile(r'parameter name="(?:name|caller|callee|old)" string="true">([A-Za-z_$][\w$]*)<')
KEPT = set(re.findall(r'\w+', ' '.join(dialect.SENTENCES.values()) + ' ' + ' '.join(questions.WORDINGS.values())
                      + ' ' + ' '.join(f'{a} {b} {" ".join(c)}' for a, b, c in dialect.ROSTER))) | KIND_WORDS | set(RISKY) | {
    'tool_result', 'tool_calls', 'invoke', 'parameter', 'string', 'true', 'false', 'type', 'object', 'integer', 'properties', 'self', 'this', 'none',
    'https', 'http', 'www', 'com', 'org', 'return', 'import', 'include', 'from', 'use', 'require', 'int', 'char', 'void', 'const', 'static', 'prototype',
    'enumerator', 'member', 'int32_t', 'similar', 'more', 'and', 'github', 'bounded', 'unbounded', 'unclear', 'places', 'edited', 'renamed', 'std', 'fmt',
    'c', 'h', 'cc', 'cpp', 'hpp', 'hh', 'py', 'go', 'rs', 'js', 'mjs', 'ts', 'java', 'rb', 'php', 'sh', 'md', 'txt', 'json', 'toml'}


def disguise(rng, turns, words, share=.75):
    """Replaces names, path parts and line numbers alike in all turns, half of the time each; takes the marks of lines away."""
    text = ''.join(t for turn in turns for t, _ in turn)
    keep = KEPT.union(*(getattr(turn, 'keep', ()) for turn in turns))
    swap = {}
    if rng.random() < share:
        for name in sorted(set(NAME_ARGUMENT.findall(text))):
            if rng.random() < .75:
                swap[name] = invent(rng, words)
        for name in sorted(set(re.findall(r': (?:call|use) in ([A-Za-z_$][\w$]*):', text))):
            if rng.random() < .4:
                swap.setdefault(name, invent(rng, words))
    if rng.random() < share:
        for part in sorted(set(PATH_PART.findall(text))):
            if rng.random() < .5:
                swap.setdefault(part, invent(rng, words))
    taken = set(re.findall(r'\w+', text))
    swap = {a: b for a, b in swap.items() if a not in keep and b not in keep and b not in taken and len(a) > 1 and not a.isdigit()}
    if len(set(swap.values())) < len(swap):
        swap = {}
    shift = rng.choice([rng.randint(0, 60), rng.randint(0, 900), rng.randint(0, 9000)]) if rng.random() < .5 else 0
    pattern = re.compile(r'(?<![A-Za-z0-9_$])(' + '|'.join(map(re.escape, sorted(swap, key=len, reverse=True))) + r')(?![A-Za-z0-9_$])') if swap else None

    def change(t):
        if pattern:
            t = pattern.sub(lambda m: swap[m[0]], t)
        return MARKED.sub(lambda m: str(int(m[1]) + shift), t)
    return [[(change(t), r) for t, r in turn] for turn in turns]


def conversation(teller, n_turns, budget_lines, system=True, skills=None):
    """[(text, role)] from BOS on.  system False leaves the system text out (cheap early practice)."""
    turns = disguise(teller.rng, [teller.turn(skills) for _ in range(n_turns)], teller.words)
    head = dialect.system(teller.map(budget_lines)) if system else ''
    return [(dialect.BOS + head, 'ctx')] + [part for turn in turns for part in turn]


def table_practice(rng, words):
    """A look-up table of invented names, and questions that only copying answers."""
    table = {}
    for _ in range(rng.choice([3, 5, 8, 12])):
        path = '/'.join(invent(rng, words) for _ in range(rng.randint(1, 3)))
        table[invent(rng, words)] = (f'{path}.{rng.choice(["c", "h", "py", "js", "go", "rs"])}', rng.randint(1, 4000))
    items = list(table.items())
    wordings = questions.side(questions.WORDINGS['define'], False)
    out = [(dialect.BOS + '\n'.join(f'{p}:{n}: {k}' for k, (p, n) in items), 'ctx')]
    for k, cite in rng.sample(items, min(4, len(items))):
        out += [(dialect.user(rng.choice(wordings).format(x=k)), 'ctx'), (dialect.say('defined', symbol=k, cite=cite) + dialect.EOS, 'ans')]
    return out
