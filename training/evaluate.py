"""Asks the program itself: held-out wordings over held-out repositories, answers compared byte for byte.

A case of a tool skill is right when the program's last answer is the one sentence that its own tools' results make true; a case of
an edit skill when the proposed diff is, byte for byte, the diff of the right edit; a case of direct reading when the answer names the
function whose comment was taken out, at its line.  Nothing is read but the program's JSON events.  Packages are those of the split
`test`; the same questions go to a random twin of the model as the control row.
"""
import collections
import functools
import json
import os
import pickle
import random
import re
import shutil
import subprocess

import numpy as np

from . import data, dialect, dialogues, product, reading, sources, tokenizer
from .dialogues import MARKED

ASK = ('define', 'several', 'uses', 'parameters', 'returns', 'fields', 'value', 'doc', 'file', 'outline', 'imports', 'importers', 'calls', 'grep',
       'risky', 'absent', 'case', 'qualified', 'decline')
EDIT = ('constant', 'rename', 'include', 'start')
READ = {2048: (25, 4), 8192: (13, 8), 32768: (2, 20), 131072: (1, 40)}      # tokens of a pack: packs, questions of each
SHORT = (2048, 8192)
DECLINE = dialect.SENTENCES['decline']

Case = collections.namedtuple('Case', 'skill package question expected')      # expected: the answer, or the diff


def repository(work, package):
    """The package as a git repository under work/eval, made once."""
    goal = os.path.join(work, 'eval', package)
    if not os.path.isdir(os.path.join(goal, '.git')):
        shutil.rmtree(goal, ignore_errors=True)
        shutil.copytree(os.path.join(work, 'src', package), goal, symlinks=True,
                        ignore=shutil.ignore_patterns('debian', '.pc', '.git', '.gitignore', '.gitattributes'))
        for args in (['init', '-q'], ['add', '-A', '-f'],
                     ['-c', 'user.name=eval', '-c', 'user.email=eval@localhost', 'commit', '-q', '-m', package]):
            subprocess.run(['git', *args], cwd=goal, check=True)
    return goal


def index(work, package, binary):
    """The program's answers about a package of the test split; None when there is too little to ask about."""
    goal = os.path.join(work, 'eval', package + '.pkl')
    if not os.path.exists(goal):
        try:
            made = product.Package(package, binary, repository(work, package))
        except ValueError:
            made = None
        with open(goal + '.part', 'wb') as f:
            pickle.dump(made, f)
        os.replace(goal + '.part', goal)
    with open(goal, 'rb') as f:
        return pickle.load(f)


def question_of(turn):
    return turn[0][0].split(dialect.USER)[1].split(dialect.ASSISTANT)[0]


def last_call(turn):
    """(tool, arguments) of a turn's last call."""
    text = MARKED.sub(lambda m: m[1], ''.join(t for t, role in turn if role == 'call').rsplit('tool_calls>\n<', 1)[1])
    tool = re.search(r'invoke name="(\w+)"', text)[1]
    found = re.findall(r'parameter name="(\w+)" string="(true|false)">(.*?)</' + dialect.DSML + 'parameter>', text, re.S)
    return tool, {k: v if s == 'true' else int(v) for k, s, v in found}


def answer_of(turn):
    """The text of the last answer."""
    end = max(i for i, (_, role) in enumerate(turn) if role in ('ctx', 'call')) + 1
    return MARKED.sub(lambda m: m[1], ''.join(t for t, _ in turn[end:])).removesuffix(dialect.EOS)


def make_turn(teller, skill):
    if skill in ('parameters', 'returns', 'fields', 'value', 'doc'):
        return teller.described(skill)
    turn = {'several': teller.define, 'case': teller.absent}.get(skill, getattr(teller, skill, None))()
    if not turn:
        return None
    answer = answer_of(turn)
    if skill in ('absent', 'case') and answer.startswith('I found no') != (skill == 'absent'):
        return None
    if skill in ('define', 'several') and (' is defined at:' in answer) != (skill == 'several'):
        return None
    if skill in EDIT and answer != 'Done.':
        return None
    if skill == 'risky' and (re.search(r'no calls of', turn[-2][0])):
        return None
    return turn


@functools.cache
def _tellers(work, binary, split):
    made = [index(work, package, binary) for package in packages(split) if os.path.isdir(os.path.join(work, 'src', package))]
    return [dialogues.Teller(p, None, split == 'test', data.words_of([p])) for p in made if p]


def tool_cases(work, binary, skill, n, seed, split='test'):
    """n cases of a skill, spread over the packages of the split; those of `dev` in wordings that were trained on."""
    rng, out, seen = random.Random(f'{seed}/{skill}'), [], set()
    tellers = _tellers(work, binary, split)
    for teller in tellers:
        teller.rng = rng
    wanted = n + n // 10 if skill in EDIT else n               # the tools refuse some edits
    tries = 0
    while tellers and len(out) < wanted and tries < 60 * n:
        teller = tellers[tries % len(tellers)]
        tries += 1
        if skill == 'risky':
            teller._made_calls = lambda t=teller: _real_call(t)
        turn = make_turn(teller, skill)
        if not turn or sum(len(t) for t, _ in turn) > 3200:
            continue
        key = (teller.p.name, question_of(turn))
        if key in seen or skill == 'risky' and not _unchanged(teller, turn):
            continue
        seen.add(key)
        expected = last_call(turn) if skill in EDIT else answer_of(turn)
        out.append(Case(skill, teller.p.name, question_of(turn), expected))
    return out if skill not in EDIT else _diffs(work, binary, out)[:n]


def _real_call(teller):
    name = teller.rng.choice(teller.library if teller.library and teller.rng.random() < .7 else teller.called)
    return name, teller.reply('call_sites', name)['text']


def _unchanged(teller, turn):
    name = last_call(turn)[1]['name']
    reply = teller.reply('call_sites', name)
    return reply and reply['text'] in MARKED.sub(lambda m: m[1], turn[-2][0])


def _diffs(work, binary, cases):
    """The cases with the diffs of their edits, as the program's own tools make them; those that its tools refuse are left out."""
    diffs = {}
    for package in sorted({c.package for c in cases}):
        own = [c for c in cases if c.package == package]
        for c, reply in zip(own, product.batch(binary, repository(work, package), [c.expected for c in own])):
            diffs[id(c)] = reply.get('diff')
    return [c._replace(expected=diffs[id(c)]) for c in cases if diffs[id(c)]]


def packages(split='test'):
    return [row['package'] for row in sources.table() if row['split'] == split]


# ---- direct reading

def reading_packs(work, tokens, n_packs, n_questions, token_file, seed, split='test'):
    """[(folder, [(question, expected)])]: folders of whole files of one test package, all their functions' comments taken out."""
    rng = random.Random(f'{seed}/{tokens}')
    tok = tokenizer.load(token_file)
    readers = [reading.Reader(p, reading.scan(os.path.join(work, 'src', p), p)) for p in packages(split)
               if os.path.isdir(os.path.join(work, 'src', p))]
    readers = [r for r in readers if len(r.functions) >= n_questions]
    out, tries = [], 0
    while len(out) < n_packs and tries < 40 * n_packs and readers:
        reader = readers[tries % len(readers)]
        tries += 1
        made = _reading_pack(reader, tok, rng, tokens, n_questions, reading.WORDINGS_HELD if split == 'test' else reading.WORDINGS_TRAIN)
        if made:
            folder = os.path.join(work, 'eval', 'reading', str(tokens), f'{len(out)}')
            shutil.rmtree(folder, ignore_errors=True)
            for piece in made[0]:
                path = os.path.join(folder, piece.path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, 'w', encoding='utf-8', newline='') as f:
                    f.write(piece.text)
            out.append((folder, made[1]))
    return out


def _reading_pack(reader, tok, rng, tokens, n_questions, wordings):
    paths = [p for p in reader.paths]
    start = rng.choice(paths)
    order = sorted(paths, key=lambda p: (os.path.commonprefix([p, start]).count('/') * -1, rng.random()))
    pieces, room = [], tokens - 60
    for path in order:
        text, found = reader.files[path]
        piece = reading.Piece(path, text.split('\n'), found, found)
        size = len(tok.encode(piece.text, add_special_tokens=False).ids) + 20
        if size <= room:
            pieces.append((piece, found))
            room -= size
        if room < tokens * .12:
            break
    if room > tokens * .35:
        return None
    single = reading.told_apart([f for _, found in pieces for f in found])
    all_ = [(piece, f, line) for piece, _ in pieces for f, line in piece.functions if id(f) in single]
    if len(all_) < n_questions:
        return None
    asked = []
    for piece, f, line in rng.sample(all_, n_questions):
        text = dialogues.ask(rng, rng.choice(wordings), exact=True, q=reading.question_of(rng, f, True))
        asked.append((text, f'That is `{f.name}` at {piece.path}:{line}.', f.name in f.doc))
    return [p for p, _ in pieces], asked


# ---- running

def run_batch(binary, command, root, model, asked, flags=()):
    """The events of every question, in order; an empty list where the program failed to answer at all."""
    text = ''.join(q.replace('\n', ' ') + '\n' for q in asked)
    run = subprocess.run([binary, '-C', root, '--model', model, '--json', *flags, command, '--batch'], input=text, capture_output=True, text=True)
    out, now = [], None
    for line in run.stdout.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get('type') == 'question':
            now = []
            out.append(now)
        elif now is not None:
            now.append(event)
    return out + [[]] * (len(asked) - len(out))


def judge(case, events):
    """None when exact, else what is wrong."""
    answers = [e for e in events if e.get('type') == 'answer']
    if not answers:
        return 'no answer'
    if case.skill in EDIT:
        diff = ''.join(e['diff'] for e in events if e.get('type') == 'edit')
        return None if diff == case.expected else f'proposed {diff!r}' if diff else f'answered {answers[-1]["text"]!r}'
    text = answers[-1]['text']
    return None if text == case.expected else f'answered {text!r}'


class Table:
    """Counts by skill, the figures beside them, and examples of failures."""

    def __init__(self):
        self.rows, self.failures = {}, []
        self.beside = dict(answerable=0, declined=0, malformed=0, cited=0, cited_nothing=0)

    def add(self, skill, case, events, wrong):
        row = self.rows.setdefault(skill, [0, 0])
        row[0] += wrong is None
        row[1] += 1
        for e in events:
            if e.get('type') == 'answer':
                self.beside['malformed'] += e.get('malformed', 0)
                for c in e.get('citations', ()):
                    self.beside['cited'] += 1
                    self.beside['cited_nothing'] += c.get('check') == 'failed'
        if skill not in ('decline', 'absent'):
            self.beside['answerable'] += 1
            self.beside['declined'] += any(e.get('type') == 'answer' and e.get('text') == DECLINE for e in events)
        if wrong:
            self.failures.append(dict(skill=skill, package=case.package, question=case.question, expected=case.expected, wrong=wrong))
            print(f'{skill} {case.package} {case.question!r}: {wrong[:300]}; expected {str(case.expected)[:300]!r}', flush=True)

    def show(self, title):
        print(f'\n{title}')
        for skill, (right, n) in self.rows.items():
            print(f'  {skill:24} {right:4} of {n:4}  {100 * right / max(n, 1):5.1f} %')
        b = self.beside
        print(f'  answerable questions declined: {b["declined"]} of {b["answerable"]}; malformed calls: {b["malformed"]}; '
              f'citations of nothing: {b["cited_nothing"]} of {b["cited"]}', flush=True)


def random_twin(model, goal, seed=1):
    """The same folder with random tensors of the same shapes and formats."""
    from .reference import read_safetensors                      # needs PyTorch, which nothing else here does
    shutil.rmtree(goal, ignore_errors=True)
    shutil.copytree(model, goal)
    rng = np.random.default_rng(seed)
    path = os.path.join(goal, 'model.safetensors')
    raw = bytearray(open(path, 'rb').read())
    n = int(np.frombuffer(raw[:8], np.uint64)[0])
    header = json.loads(raw[8:8 + n])
    stored = read_safetensors(path)
    for name, row in header.items():
        a, b = (8 + n + x for x in row['data_offsets'])
        dtype, t = stored[name]
        count = t.numel()
        if dtype == 'F8_E8M0':
            old = t.numpy().reshape(-1)
            new = np.full(count, int(np.median(old)), np.uint8)
        elif dtype == 'I8':
            new = rng.integers(0, 256, count, dtype=np.uint8)
        elif dtype == 'F8_E4M3':                              # any finite value of moderate size
            new = (rng.integers(0x28, 0x70, count) | rng.integers(0, 2, count) << 7).astype(np.uint8)
        elif dtype == 'I64':
            continue
        elif dtype == 'BF16':
            values = (t.numpy().astype(np.uint32) << 16).view(np.float32).reshape(-1)
            values = rng.normal(0, values.std() + 1e-3, count) if t.ndim > 1 else np.ones(count)
            new = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        else:
            new = rng.normal(0, .02, count).astype(np.float32)
        raw[a:b] = new.tobytes()
    with open(path, 'wb') as f:
        f.write(raw)


def run(work, binary, model, n=100, seed=5, random_weights=False, skills=None, lengths=SHORT, constraints=True, out=None, split='test'):
    """Stage `eval`: prints failures, then the table; writes it as JSON to `out`.  Split `dev` is for choosing between recipes: its packages
    and its wordings are not those of the figures that are published."""
    if random_weights:
        twin = os.path.join(work, 'random-twin')
        random_twin(model, twin)
        model = twin
    table, flags = Table(), () if constraints else ('--no-constraints',)
    wanted = [s for s in (*ASK, *EDIT) if not skills or s in skills]
    for command, group in (('ask', ASK), ('edit', EDIT)):
        cases = [c for s in group if s in wanted for c in tool_cases(work, binary, s, n, seed, split)]
        events = {}
        for package in sorted({c.package for c in cases}):
            own = [c for c in cases if c.package == package]
            events.update(zip(map(id, own), run_batch(binary, command, repository(work, package), model, [c.question for c in own], flags)))
        for c in cases:
            table.add(c.skill, c, events[id(c)], judge(c, events[id(c)]))
    token_file = os.path.join(model, 'tokenizer.json')
    for tokens in lengths if not skills or 'reading' in skills else ():
        packs, questions = READ[tokens]
        for folder, asked in reading_packs(work, tokens, packs, questions, token_file, seed, split):
            got = run_batch(binary, 'ask', folder, model, [q for q, _, _ in asked], (*flags, '--mode', 'full', '--budget', '0'))
            for (q, expected, named), events in zip(asked, got):
                case = Case(f'reading {tokens}', os.path.basename(folder), q, expected)
                wrong = judge(case, events)
                table.add(case.skill, case, events, wrong)
                if not named:                                 # the comment does not say the function's own name
                    row = table.rows.setdefault(f'reading {tokens}, unnamed', [0, 0])
                    row[0] += wrong is None
                    row[1] += 1
    table.show(f'{model}' + (', random weights' if random_weights else '') + ('' if constraints else ', without constraints'))
    if out:
        with open(out, 'w', encoding='utf-8') as f:
            json.dump(dict(model=model, random=random_weights, constraints=constraints, seed=seed, rows=table.rows, **table.beside,
                           failures=table.failures), f, indent=1, ensure_ascii=False)
    return table
