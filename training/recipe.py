"""The recipe as data: seeds, rates and the order of the stages."""

SEED = 7
THREADS = 2
WARM_UP = 50
AVERAGE = .995              # of the weights that are exported, over the steps
DECIDING = 12.             # weight of a token that chooses a tool or a sentence
HEAD_ROWS = 1536            # positions of a batch that the output head runs on

# (a, b, c) of x <- a x + b (x x') x + c (x x')^2 x: fast rounds, then two that settle.  The published recipe has
# eight fast rounds; five cost a tenth less per step here.
NEWTON_SCHULZ = [(3.4445, -4.7750, 2.0315)] * 5 + [(2., -1.5, .5)] * 2

TEACH = dict(quantise=True, teach_index=True)
SPARSE = dict(quantise=True, teach_index=True, sparse=True)
FULL = dict(quantise=True, teach_index=True, sparse=True, mtp=True)

# rows: [(set, rows a batch, first row), ...], by turns; rate: from and to over the stage
STAGES = [
    dict(name='start', rows=[('start512', 8, 0), ('bags1', 16, 0)], steps=200, rate=(3e-3, 3e-3)),
    dict(name='early', rows=[('early', 4, 0), ('names', 4, 0), ('bags2', 8, 0)], steps=150, rate=(3e-3, 3e-3)),
    dict(name='main', rows=[('asks', 4, 0), ('names', 4, 200), ('asks', 4, 0), ('main', 4, 0), ('asks', 4, 0), ('read1', 4, 0), ('long', 2, 0)],
         steps=6000, rate=(2e-3, 5e-4)),
    dict(name='teach', rows=[('long', 2, 1720)], steps=60, rate=(5e-4, 5e-4), mode=TEACH),
    dict(name='sparse', rows=[('long', 2, 1840), ('asks', 4, 10300), ('main', 4, 3440), ('asks', 4, 10300), ('read4', 1, 0), ('asks', 4, 10300),
                              ('read1', 4, 3440)], steps=250, rate=(5e-4, 4e-4), mode=SPARSE),
    dict(name='full', rows=[('long', 2, 1920), ('asks', 4, 10740), ('main', 4, 3600), ('asks', 4, 10740), ('read4', 1, 40), ('asks', 4, 10740),
                            ('read1', 4, 3600)], steps=460, rate=(4e-4, 2e-5), mode=FULL),
]

# Practice sets (training/practice.py): bags of few words first, then larger ones
PRACTICE = {
    'start512': dict(n_rows=1000, length=512, seed=1, bag_share=.2, words=(3, 8), asked=(1, 3), shared=False),
    'bags1': dict(n_rows=2000, length=256, seed=3, bag_share=.95, words=(2, 8), asked=(1, 4), shared=False),
    'bags2': dict(n_rows=1000, length=512, seed=4, bag_share=.95, words=(4, 24), asked=(1, 4), shared=True),
}
