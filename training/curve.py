"""How the model came to what it can do: exact match of the weights that training kept on the way, and the loss, over training tokens."""
import glob
import json
import os

import matplotlib
import torch

from . import evaluate, export

matplotlib.use('svg')
import matplotlib.pyplot as plt  # noqa: E402

GROUPS = {
    'names, uses, files, imports': ('define', 'several', 'uses', 'file', 'outline', 'imports', 'importers', 'calls', 'grep', 'case'),
    'parameters, values, comments': ('parameters', 'returns', 'fields', 'value', 'doc'),
    'edits': evaluate.EDIT,
    'declines, absent names': ('decline', 'absent'),
    'direct reading, 2,048 tokens': ('reading 2048',),
}


def measure(work, binary, n):
    """work/curve/NAME.json for every checkpoint kept, those already measured skipped."""
    os.makedirs(os.path.join(work, 'curve'), exist_ok=True)
    for path in sorted(glob.glob(os.path.join(work, 'step-*.pt'))) + [os.path.join(work, 'checkpoint.pt')]:
        tokens = torch.load(path, map_location='cpu')['tokens']
        goal = os.path.join(work, 'curve', f'{tokens:012d}.json')
        if os.path.exists(goal):
            continue
        folder = os.path.join(work, 'curve', 'model')
        export.run(work, folder, path)
        table = evaluate.run(work, binary, folder, n, lengths=(2048,))
        with open(goal + '.part', 'w', encoding='utf-8') as f:
            json.dump(dict(tokens=tokens, rows=table.rows), f)
        os.replace(goal + '.part', goal)


def draw(work, goal):
    """One SVG: exact match by groups of skills, and the loss of what is learned, over millions of training tokens."""
    points = []
    for path in sorted(glob.glob(os.path.join(work, 'curve', '*.json'))):
        with open(path, encoding='utf-8') as f:
            points.append(json.load(f))
    with open(os.path.join(work, 'train.jsonl'), encoding='utf-8') as f:
        log = [json.loads(line) for line in f]
    plt.rcParams['svg.hashsalt'] = 'deepread'                 # same input, same file
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    for name, skills in GROUPS.items():
        ys = []
        for p in points:
            right_, of = (sum(p['rows'][s][i] for s in skills if s in p['rows']) for i in (0, 1))
            ys.append(100 * right_ / of)
        left.plot([p['tokens'] / 1e6 for p in points], ys, marker='o', markersize=3, label=name)
    left.set(xlabel='training tokens, millions', ylabel='exact match, %', ylim=(0, 101))
    left.legend(fontsize=8, loc='lower right')
    right.plot([r['tokens'] / 1e6 for r in log], [r['mean'] for r in log], linewidth=.8)
    right.set(xlabel='training tokens, millions', ylabel='loss of calls and answers, running mean', yscale='log')
    for axis in (left, right):
        axis.grid(alpha=.3)
    figure.tight_layout()
    figure.savefig(goal, metadata={'Date': None})


def run(work, binary, goal, n=30):
    """Stage `curve`."""
    measure(work, binary, n)
    draw(work, goal)
