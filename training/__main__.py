"""python3 -m training STAGE ...: one stage, or `all` for everything up to the exported model.

    all --binary PATH [--model DIR]         sources, product, reading, tokenizer, data, train, export to DIR
    sources | product | reading | tokenizer | data | train | export    one of them
    eval --binary PATH --model DIR [--n 100] [--random-weights] [--no-constraints] [--long] [--skills A,B] [--split dev] [--out FILE]
                                                                     through the program; fetches the packages that it asks about
    curve --binary PATH --out FILE.svg [--n 30]                      exact match of the weights kept on the way, over training tokens
    logits MODEL_DIR TOKENS.json OUT.npy [--mtp]                     from the exported files alone

Every stage skips what is already there, so an interrupted run continues where it stopped.
"""
import argparse
import os


FORMAT = 3           # of what stages leave in the work folder: rises with every change to it
STAGES = ('sources', 'product', 'reading', 'tokenizer', 'data', 'train', 'export')


def make(args, names):
    from . import data, dialect, export, practice, product, reading, recipe, sources, tokenizer, train
    token_file = os.path.join(args.work, 'model', 'tokenizer.json')
    for name in names:
        if name == 'sources':
            sources.run(args.work)
        elif name == 'product':
            if not args.binary:
                raise SystemExit('product: say where the program is: --binary PATH')
            product.run(args.work, args.binary)
        elif name == 'reading':
            reading.run(args.work)
        elif name == 'tokenizer' and not os.path.exists(token_file):
            tokenizer.train(data.tokenizer_texts(args.work), token_file)
        elif name == 'data':
            for rows, settings in recipe.PRACTICE.items():
                practice.run(args.work, rows, tokenizer.VOCABULARY, len(dialect.SPECIAL), **settings)
            for rows in data.SETS:
                data.run(args.work, token_file, rows)
        elif name == 'train':
            train.run(args.work)
        elif name == 'export':
            export.run(args.work, args.model or os.path.join(args.work, 'nano'))


def check_folder(work):
    """What another version made is not mixed with what this one makes: rows in the old form would train without a word."""
    path = os.path.join(work, 'format')
    if not os.path.exists(path) and not any(os.path.isdir(os.path.join(work, made)) for made in ('product', 'rows', 'eval')):
        os.makedirs(work, exist_ok=True)
        with open(path, 'w') as f:
            f.write(f'{FORMAT}\n')
    if not os.path.exists(path) or open(path).read().strip() != str(FORMAT):
        raise SystemExit(f'{work} was filled by another version: delete all in it but src and down, or name another folder with --work')


def main():
    p = argparse.ArgumentParser(prog='python3 -m training', description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('stage')
    p.add_argument('files', nargs='*')
    p.add_argument('--work', default=os.path.expanduser('~/.cache/deepread-train'), help='everything made is kept here')
    p.add_argument('--model', help='a model folder')
    p.add_argument('--binary', help='the deepread program')
    p.add_argument('--n', type=int, default=0, help='eval: cases a skill (100); curve: 30')
    p.add_argument('--random-weights', action='store_true')
    p.add_argument('--no-constraints', action='store_true', help='eval: sample freely')
    p.add_argument('--long', action='store_true', help='eval: direct reading at 32k and 128k tokens too')
    p.add_argument('--skills', help='eval: these only, by commas')
    p.add_argument('--split', default='test', choices=('dev', 'test'), help='eval: packages to ask about')
    p.add_argument('--out', help='eval: the table as JSON; curve: the picture')
    p.add_argument('--mtp', action='store_true')
    args = p.parse_args()
    if args.stage != 'logits':
        check_folder(args.work)
    if args.stage == 'all':
        make(args, STAGES)
    elif args.stage in STAGES:
        make(args, [args.stage])
    elif args.stage == 'eval':
        from . import evaluate, sources
        if not args.binary or not args.model:
            p.error('eval: say where the program and the model are: --binary PATH --model DIR')
        sources.run(args.work, (args.split,))
        evaluate.run(args.work, args.binary, args.model, args.n or 100, random_weights=args.random_weights, constraints=not args.no_constraints,
                     skills=args.skills and args.skills.split(','), lengths=tuple(evaluate.READ) if args.long else evaluate.SHORT, out=args.out,
                     split=args.split)
    elif args.stage == 'curve':
        from . import curve
        curve.run(args.work, args.binary, args.out, args.n or 30)
    elif args.stage == 'logits':
        from . import reference
        reference.run(*args.files, mtp=args.mtp)
    else:
        p.error(f'no stage {args.stage}')


if __name__ == '__main__':
    main()
