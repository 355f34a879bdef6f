"""Writes unicode_table.c: runs of code points with one class each.

    pip install unicodedata2==16.0.0 && python3 engine/unicode_table.py > engine/unicode_table.c
"""
import unicodedata2

BITS = {'L': 1, 'M': 2, 'N': 4, 'P': 8, 'S': 16}
SPACE = {*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}


def code_class(point):
    category = unicodedata2.category(chr(point))
    if category == 'Cn':
        return 0
    return BITS.get(category[0], 64) | (32 if point in SPACE else 0)


runs, last = [], None
for point in range(0x110000):
    this = code_class(point)
    if this != last:
        runs.append(point << 8 | this)
        last = this
print(f'/* Unicode {unicodedata2.unidata_version}, made by unicode_table.py: do not edit. */')
print('#include "engine/unicode.h"\n')
print('const uint32_t dr_unicode__runs[] = {')
for i in range(0, len(runs), 12):
    print('    ' + ' '.join(f'{x:#x},' for x in runs[i:i + 12]))
print('};\n')
print('const size_t dr_unicode__n_runs = sizeof dr_unicode__runs / sizeof dr_unicode__runs[0];')
