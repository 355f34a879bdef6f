"""Asks the program itself: held-out questions over held-out repositories, answers compared exactly.

A definition is right when the cited path:line is a definition that universal-ctags knows too (never a
prototype), fits what the question said of kind, file or folder, and is the first such line of the
program's own result.  Uses are right when the answer cites exactly the (path, line) pairs of the result
of find_refs on that name, or says that there are none when there are none.  Beside these, and not counted
with them: names that do not exist, and questions that are out of reach.  Nothing is read but the program's
JSON events.
"""
import json
import os
import random
import re
import shutil
import subprocess

import numpy as np

from . import data, dialect, dialogues, index
from .reference import read_safetensors

HELD_THREE = ('redis', 'jinja2', 'golang-github-gorilla-mux')
REF_LINE = re.compile(r'^(\S.*?):(\d+): ', re.M)


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


def question_of(turn):
    return turn[0][0][len(dialect.USER):].split(dialect.ASSISTANT)[0]


def questions(work, n, seed, names=HELD_THREE):
    """[(package, task, question, name, good)]: n of them half definitions, half uses, in turns over the
    repositories; then n / 10 each of absent names and of what should be declined.  good: the (path, line) set."""
    rng, out, tellers = random.Random(seed), [], {}
    for package in names:
        repo = index.scan(repository(work, package), package, None)
        tellers[package] = dialogues.Teller(repo, rng, dialogues.Style(True), data.words_of([repo]))
    for i in range(n):
        package = names[i % len(names)]
        teller = tellers[package]
        task = 'define' if i // len(names) % 2 == 0 else 'uses'
        while True:
            turn = teller.define(rng.random() < .35) if task == 'define' else teller.uses()
            name = re.search(r'string="true">(.*?)</', turn[1][0])[1]
            good = {(p, line) for p, line, kind in teller.repo.by_name[name] if index.RANK.get(kind, 0) == 0}
            if task == 'uses':
                if good and name in teller.repo.refs:
                    break
                continue
            target = re.search(r' is defined at (\S+):(\d+)\.<', turn[3][0])
            target = (target[1], int(target[2]))
            if target in good:                                # a question that asks for a definition, not a prototype
                good = {target} if target != sorted(good)[0] else good
                break
        out.append((package, task, question_of(turn), name, good))
    for task in ('absent', 'decline'):
        for i in range(n // 10):
            package = names[i % len(names)]
            turn = getattr(tellers[package], task)()
            while task == 'absent' and 'I found no' not in turn[3][0]:
                turn = tellers[package].absent()
            out.append((package, task, question_of(turn), turn[-1][0].removesuffix(dialect.EOS), set()))
    return out


def ask(binary, repo, model, question, timeout=120):
    """The program's events; an empty list if it failed to answer at all."""
    try:
        run = subprocess.run([binary, '-C', repo, '--model', model, '--json', 'ask', question],
                             capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return []
    events = []
    for line in run.stdout.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events


def judge(task, name, good, events):
    """None when the answer is exact, else what is wrong with it."""
    calls = [e for e in events if e.get('type') == 'tool_call']
    results = [e for e in events if e.get('type') == 'tool_result']
    answers = [e for e in events if e.get('type') == 'answer']
    tool = 'find_symbol' if task == 'define' else 'find_refs'
    if not answers:
        return 'no answer'
    if task in ('absent', 'decline'):                         # name is the whole sentence expected
        return None if answers[-1].get('text') == name else f'answered {answers[-1].get("text")!r}'
    if not calls:
        return f'no call, answered {answers[-1].get("text")!r}'
    last = calls[-1]
    if last.get('name') != tool or (last.get('arguments') or {}).get('name') != name:
        return f'called {last.get("name")} {last.get("arguments")}'
    shown = [(p, int(n)) for p, n in REF_LINE.findall(results[-1]['text'] if results else '')]
    text = answers[-1].get('text', '')
    if task == 'uses' and not shown:                          # the program's index knows no use: to say so is exact
        return None if text == dialect.no_references(name).removesuffix(dialect.EOS) else f'answered {text!r}'
    if task == 'uses':
        cited = {(p, int(n)) for p, n in re.findall(r'^- (\S.*?):(\d+) in `', text, re.M)}
        return None if cited and cited == set(shown) else f'cited {len(cited)} of {len(shown)} lines'
    cited = re.search(r' is defined at (.+):(\d+)\.$', text)
    if not cited:
        return f'answered {text!r}'
    cited = (cited[1], int(cited[2]))
    first = next((row for row in shown if row in good), None)
    return None if cited == first else f'cited {cited}, expected {first}'


def random_twin(model, goal, seed=1):
    """The same folder with random tensors of the same shapes and formats."""
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


def run(work, binary, model, n=200, seed=5, random_weights=False):
    """Stage `eval`: prints failures, then the table."""
    if random_weights:
        twin = os.path.join(work, 'random-twin')
        random_twin(model, twin)
        model = twin
    table = {}
    for package, task, question, name, good in questions(work, n, seed):
        wrong = judge(task, name, good, ask(binary, repository(work, package), model, question))
        row = table.setdefault(task, [0, 0])
        row[0] += wrong is None
        row[1] += 1
        if wrong:
            print(f'{package} {task} {question!r}: {wrong}', flush=True)
    for task, (right, all_) in table.items():
        print(f'{task}: {right} of {all_} exact')
    right, all_ = (table['define'][i] + table['uses'][i] for i in (0, 1))
    print(f'define and uses: {right} of {all_} exact ({100 * right / all_:.1f} %)'
          + (', random weights' if random_weights else ''))
