"""python3 -m training STAGE ...: one stage, or `all` for everything up to the exported model.

    all --binary PATH [--model DIR]         sources, index, product, tokenizer, data, train, export to DIR
    sources | index | product | tokenizer | data | train | export    one of them
    eval --binary PATH --model DIR [--n 200] [--random-weights]      through the program
    logits MODEL_DIR TOKENS.json OUT.npy [--mtp]                     from the exported files alone

Every stage skips what is already there, so an interrupted run continues where it stopped.
"""
import argparse
import os


STAGES = ('sources', 'index', 'product', 'tokenizer', 'data', 'train', 'export')


def make(args, names):
    from . import data, dialect, export, index, product, recipe, sources, tokenizer, train
    token_file = os.path.join(args.work, 'model', 'tokenizer.json')
    for name in names:
        if name == 'sources':
            sources.run(args.work)
        elif name == 'index':
            index.run(args.work, [row['package'] for row in sources.table()])
        elif name == 'product':
            if not args.binary:
                raise SystemExit('product: say where the program is: --binary PATH')
            product.run(args.work, args.binary, dialect.NANO)
        elif name == 'tokenizer' and not os.path.exists(token_file):
            tokenizer.train(data.tokenizer_texts(args.work), token_file)
        elif name == 'data':
            for rows, settings in recipe.ROWS.items():
                data.run(args.work, token_file, rows, **settings)
        elif name == 'train':
            train.run(args.work)
        elif name == 'export':
            export.run(args.work, args.model or os.path.join(args.work, 'nano'))


def main():
    p = argparse.ArgumentParser(prog='python3 -m training', description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('stage')
    p.add_argument('files', nargs='*')
    p.add_argument('--work', default=os.path.expanduser('~/.cache/deepread-train'), help='everything made is kept here')
    p.add_argument('--model', help='a model folder')
    p.add_argument('--binary', help='the deepread program')
    p.add_argument('--n', type=int, default=200)
    p.add_argument('--random-weights', action='store_true')
    p.add_argument('--mtp', action='store_true')
    args = p.parse_args()
    if args.stage == 'all':
        make(args, STAGES)
    elif args.stage in STAGES:
        make(args, [args.stage])
    elif args.stage == 'eval':
        from . import evaluate
        evaluate.run(args.work, args.binary, args.model, args.n, random_weights=args.random_weights)
    elif args.stage == 'logits':
        from . import reference
        reference.run(*args.files, mtp=args.mtp)
    else:
        p.error(f'no stage {args.stage}')


if __name__ == '__main__':
    main()
