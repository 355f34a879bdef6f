"""The recipe as data: seeds, rates and the order of the stages."""

SEED = 7
THREADS = 2
WARM_UP = 50
HEAD_ROWS = 2048            # positions of a batch that the output head runs on

# (a, b, c) of x <- a x + b (x x') x + c (x x')^2 x: eight fast rounds, two that settle
NEWTON_SCHULZ = [(3.4445, -4.7750, 2.0315)] * 8 + [(2., -1.5, .5)] * 2

QUANTISED = dict(quantise=True, teach_index=True)
FULL = dict(quantise=True, teach_index=True, sparse=True, mtp=True)

# rows: a set of ROWS below; rate: from and to over the stage; skip: rows of the set already used
STAGES = [
    dict(name='early', rows='early', batch=4, steps=300, rate=(3e-3, 3e-3)),
    dict(name='main', rows='main', batch=4, steps=750, rate=(3e-3, 3e-3)),
    dict(name='quantised', rows='main', batch=4, steps=450, rate=(3e-3, 3e-3), skip=3000, mode=QUANTISED),
    dict(name='full', rows='long', batch=2, steps=700, rate=(3e-3, 1e-4), mode=FULL),
]

# Training rows: practice = share of plain copying, bare = share without the system text, long_pack =
# share of conversations that open with a long map
ROWS = {
    'early': dict(n_rows=1200, length=1024, practice=.3, bare=.4, long_pack=.1, seed=1, shard=200),
    'main': dict(n_rows=8000, length=1024, practice=.03, bare=.15, long_pack=.1, seed=2, shard=400),
    'long': dict(n_rows=1800, length=2048, practice=0., bare=0., long_pack=.5, seed=3, shard=200),
}
