"""Rounding to the checkpoint's formats: E4M3 and E2M1 with power-of-two scales.

Plain arithmetic on float32, exact for every value, so that it can be compiled and differentiated
straight through.  The rules are those of the engine: scale = 2^ceil(log2(amax / MAX)), values
rounded to nearest, ties to even.
"""
import torch
import torch.nn.functional as F

E4M3_MAX, E2M1_MAX = 448.0, 6.0


def floor_power(x):
    """The largest power of two <= x, for x > 0 (normal numbers)."""
    return (x.view(torch.int32) & 0x7F800000).view(torch.float32)


def scale_of(amax, top):
    """2^ceil(log2(amax / top)), from the bits of amax * (1 / top)."""
    v = amax * (1.0 / top)
    p = floor_power(v)
    return torch.where(v > p, p * 2, p)


def e4m3(x):
    """x rounded to E4M3; |x| <= 448."""
    step = (floor_power(x.abs().clamp(min=2.0 ** -20)) * 0.125).clamp(min=2.0 ** -9)
    return torch.round(x / step) * step


def e2m1(x):
    """x rounded to E2M1; |x| <= 6."""
    step = (floor_power(x.abs().clamp(min=2.0 ** -20)) * 0.5).clamp(min=0.5)
    return torch.round(x / step) * step


def round_blocks(x, block, four_bit=False):
    """Round trip of float32 x over blocks of its last axis."""
    y = x.unflatten(-1, (-1, block))
    amax = y.abs().amax(-1, keepdim=True)
    if four_bit:
        s = scale_of(amax.clamp(min=E2M1_MAX * 2.0 ** -120), E2M1_MAX)
        y = e2m1((y / s).clamp(-E2M1_MAX, E2M1_MAX)) * s
    else:
        s = scale_of(amax.clamp(min=1e-4), E4M3_MAX)
        y = e4m3((y / s).clamp(-E4M3_MAX, E4M3_MAX)) * s
    return y.flatten(-2)


def straight(x, block, four_bit=False):
    """round_blocks with the gradient of the identity."""
    return x + (round_blocks(x.detach(), block, four_bit) - x.detach())


def tile_scales(w):
    """E8M0 scales of an FP8 matrix [out, in] over 128 x 128 tiles, as float32 [rows, columns]."""
    o, i = w.shape
    t = F.pad(w, (0, -i % 128, 0, -o % 128)).unflatten(1, (-1, 128)).unflatten(0, (-1, 128))
    return scale_of(t.abs().amax((1, 3)).clamp(min=1e-4), E4M3_MAX)


def spread(scales, shape):
    """Tile scales repeated to the matrix's own shape."""
    return scales.repeat_interleave(128, 0)[:shape[0]].repeat_interleave(128, 1)[:, :shape[1]]


def round_tiles(w):
    """Round trip of an FP8 matrix."""
    s = spread(tile_scales(w), w.shape)
    return e4m3(w / s) * s


def fp4_parts(w):
    """FP4 codes' values and scales of a matrix [out, in] or more of them: (e2m1 [.., out, in], scales [.., out, in / 32])."""
    groups = w.unflatten(-1, (-1, 32))
    s = scale_of(groups.abs().amax(-1, keepdim=True).clamp(min=E2M1_MAX * 2.0 ** -120), E2M1_MAX)
    return e2m1((groups / s).clamp(-E2M1_MAX, E2M1_MAX)).flatten(-2), s.squeeze(-1)


def fp4_as_fp8(codes, scales):
    """The lossless way from FP4 to FP8: per tile of 128 x 128 the greatest scale / 2^6, each weight e2m1 x s / that.
    Returns (values before E4M3, tile scales); exact while no tile's scales differ by more than 2^14."""
    o, i = codes.shape
    t = F.pad(scales, (0, -(i // 32) % 4, 0, -o % 128)).unflatten(1, (-1, 4)).unflatten(0, (-1, 128))
    tile = t.amax((1, 3)) / 64
    return codes * (scales.repeat_interleave(32, 1) / spread(tile, codes.shape)), tile


def fp4_is_lossless(w):
    """Does FP8 hold the FP4 rounding of w [.., out, in] exactly, as the report says of the trained weights?"""
    for one in w.reshape(-1, *w.shape[-2:]):
        codes, scales = fp4_parts(one.float())
        x, _ = fp4_as_fp8(codes, scales)
        if not torch.equal(e4m3(x), x):
            return False
    return True


def hadamard(n):
    """The Sylvester matrix of order n, scaled to be orthogonal."""
    h = torch.ones(1, 1)
    while h.shape[0] < n:
        h = torch.cat((torch.cat((h, h), 1), torch.cat((h, -h), 1)), 0)
    return h * n ** -0.5
