"""What must hold in training/ for the exported checkpoint to be the model that was trained.

Run by hand, `python3 tests/training/test_training.py`: it needs PyTorch, which ./dev test does not.
"""
import json
import os
import sys
import tempfile
import unittest

import torch

os.environ.setdefault('TORCH_COMPILE_DISABLE', '1')
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from training import curve, dialect, export, quant, reference  # noqa: E402
from training.model import MODE, Config, Nano  # noqa: E402

TOKENIZER = os.path.join(dialect.NANO, 'tokenizer.json')


class Quantisation(unittest.TestCase):
    def test_e4m3_is_the_hardware_rounding(self):
        g = torch.Generator().manual_seed(1)
        x = torch.randn(200000, generator=g) * torch.exp2(torch.randint(-12, 9, (200000,), generator=g).float())
        x = torch.cat((x.clamp(-448, 448), torch.tensor([0., 2.0 ** -10, 3 * 2.0 ** -10, 448, -448, 17, 19])))
        self.assertTrue(torch.equal(quant.e4m3(x), x.to(torch.float8_e4m3fn).float()))

    def test_e2m1_takes_ties_to_the_even_code(self):
        x = torch.tensor([.25, .75, 1.25, 1.75, 2.5, 3.5, 5, -5, 6, .26, 4.9])
        self.assertEqual(quant.e2m1(x).tolist(), [0, 1, 1, 2, 2, 4, 4, -4, 6, .5, 4])

    def test_scales_are_the_least_power_that_fits(self):
        amax = torch.tensor([300., 448, 449, 896, 6.])
        self.assertEqual(torch.log2(quant.scale_of(amax, 448.)).tolist(), [0, 0, 1, 1, -6])
        self.assertEqual(torch.log2(quant.scale_of(torch.tensor([3.1, 6, 6.5]), 6.)).tolist(), [0, 0, 1])

    def test_hadamard_is_orthogonal(self):
        h = quant.hadamard(64)
        self.assertTrue(torch.allclose(h @ h.t(), torch.eye(64), atol=1e-6))


class Curve(unittest.TestCase):
    def test_every_group_is_drawn_and_the_same_file_again(self):
        rows = {s: [7, 10] for group in curve.GROUPS.values() for s in group}
        with tempfile.TemporaryDirectory() as work:
            os.mkdir(os.path.join(work, 'curve'))
            for tokens in (1000, 2000):
                with open(os.path.join(work, 'curve', f'{tokens:012d}.json'), 'w') as f:
                    json.dump(dict(tokens=tokens, rows=rows), f)
            with open(os.path.join(work, 'train.jsonl'), 'w') as f:
                f.writelines(json.dumps(dict(tokens=t, mean=2 - t / 2000)) + '\n' for t in (500, 1000, 2000))
            drawn = []
            for name in ('a.svg', 'b.svg'):
                curve.draw(work, os.path.join(work, name))
                with open(os.path.join(work, name), encoding='utf-8') as f:
                    drawn.append(f.read())
        self.assertEqual(*drawn)
        for name in curve.GROUPS:
            self.assertIn(name, drawn[0])


class ExportedModel(unittest.TestCase):
    def test_the_reference_reads_back_what_training_computes(self):
        torch.manual_seed(3)
        c = Config(vocabulary=6144, layers=3, ratios=(0, 4, 128, 0), topk=8, window=32)
        model = Nano(c).eval()
        with tempfile.TemporaryDirectory() as folder:
            export.export(model, TOKENIZER, folder)
            back = reference.Reference(folder)
            for name, w in (('layers.1.attn.wq_b', model.blocks[1].attn.wq_b), ('layers.0.attn.wkv', model.blocks[0].attn.wkv)):
                self.assertTrue(torch.equal(back.w[name + '.weight'], quant.round_tiles(w.detach())))
            w = model.blocks[2].ffn.w13.detach()[5, 1]
            self.assertTrue(torch.equal(back.w['layers.2.ffn.experts.5.w3.weight'], quant.round_blocks(w, 32, True)))
            ids = torch.randint(20, 6144, (256,))
            with torch.no_grad():
                ours = model.logits(model(ids[None], dict(MODE, quantise=True, sparse=True))).float()
            theirs = back.logits(ids)
            kl = (theirs.softmax(-1) * (theirs.log_softmax(-1) - ours.log_softmax(-1))).sum(-1).mean().item()
            self.assertLess(kl, 0.02)


if __name__ == '__main__':
    unittest.main()
