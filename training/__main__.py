"""python3 -m training STAGE: sources, index, tokenizer, data, train, export, eval, logits, or all."""
import argparse
import os

STAGES = ('sources', 'index', 'tokenizer', 'data', 'train', 'export')


def main():
    p = argparse.ArgumentParser(prog='training')
    p.add_argument('stage')
    p.add_argument('--work', default=os.path.expanduser('~/.cache/deepread-train'))
    p.add_argument('--set', dest='sets', action='append', default=[], help='make only these row sets')
    args = p.parse_args()
    if args.stage == 'train':
        from . import train
        train.run(args.work)


if __name__ == '__main__':
    main()
