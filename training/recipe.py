"""The recipe as data: seeds, rates and the order of the stages."""

SEED = 7
THREADS = 2
WARM_UP = 50
HEAD_ROWS = 2048            # positions of a batch that the output head runs on

# (a, b, c) of x <- a x + b (x x') x + c (x x')^2 x: eight fast rounds, two that settle
NEWTON_SCHULZ = [(3.4445, -4.7750, 2.0315)] * 8 + [(2., -1.5, .5)] * 2

STAGES = [
    dict(name='early', rows='early', batch=4, steps=300, rate=(3e-3, 3e-3)),
    dict(name='main', rows='main', batch=4, steps=2000, rate=(3e-3, 3e-3)),
]
