"""The recipe as data: seeds, rates and the order of the stages."""

SEED = 7
THREADS = 2
WARM_UP = 50
HEAD_ROWS = 2048            # positions of a batch that the output head runs on

# (a, b, c) of x <- a x + b (x x') x + c (x x')^2 x: fast rounds, then two that settle.  The published recipe has
# eight fast rounds; five cost a tenth less per step here.
NEWTON_SCHULZ = [(3.4445, -4.7750, 2.0315)] * 5 + [(2., -1.5, .5)] * 2

TEACH = dict(quantise=True, teach_index=True)
SPARSE = dict(quantise=True, teach_index=True, sparse=True)
FULL = dict(quantise=True, teach_index=True, sparse=True, mtp=True)

# rows: a set of ROWS below; rate: from and to over the stage; skip: rows of the set already used
STAGES = [
    dict(name='early', rows='early', batch=4, steps=300, rate=(3e-3, 3e-3)),
    dict(name='main', rows='main', batch=4, steps=500, rate=(3e-3, 3e-3)),
    dict(name='teach', rows='long', batch=2, steps=100, rate=(3e-3, 3e-3), mode=TEACH),
    dict(name='sparse', rows='late', batch=2, steps=400, rate=(3e-3, 2e-3), mode=SPARSE),
    dict(name='full', rows='product', batch=2, steps=580, rate=(2e-3, 4e-5), mode=FULL),
    dict(name='again', rows='late', batch=2, steps=220, rate=(8e-4, 2e-5), skip=800, mode=FULL),
]

# Training rows: practice = share of plain copying, bare = share without the system text, long_pack =
# share of conversations that open with a long map
ROWS = {
    'early': dict(n_rows=1200, length=1024, practice=.3, bare=.4, long_pack=.1, seed=1, shard=200),
    'main': dict(n_rows=8000, length=1024, practice=.03, bare=.15, long_pack=.1, seed=2, shard=400),
    'long': dict(n_rows=2000, length=2048, practice=0., bare=0., long_pack=.5, seed=3, shard=200),
    'late': dict(n_rows=1800, length=2048, practice=0., bare=0., long_pack=.5, seed=4, shard=200),
    'product': dict(n_rows=1200, length=2048, practice=0., bare=0., long_pack=.5, seed=5, shard=200, made_by='product'),
}
