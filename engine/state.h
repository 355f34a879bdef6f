/* engine/state.h: the fixed-size part of a timeline as bytes: windows and compressor tails (spec 6.3). Internal to
 * engine.
 *
 *   for every layer of the backbone, in order:
 *     window      min(T, window) KV rows, native
 *     CSA, main and then index compressor (e channels an entry, r = 4):
 *       block before  K [r][e], Z [r][e]              first halves only: nothing else is read again
 *       unfinished    K [T mod r][2e], Z [T mod r][2e]
 *     HCA:  unfinished  K [T mod r][e], Z [T mod r][e]
 *
 * f32 and native rows, little-endian, no padding. The MTP block's window is not part of it. */
#ifndef DR_ENGINE_STATE_H
#define DR_ENGINE_STATE_H

#include "engine/decoder.h"

size_t dr_state__bytes(const dr_model *m, int64_t position);
size_t dr_state__max_bytes(const dr_model *m);
/* The state of the current position. */
void dr_state__save(const dr_decoder *d, uint8_t *dst);
/* Makes `position` the end of every window and tail; sets the decoder's position too. Pages are the caller's business.
 */
void dr_state__load(dr_decoder *d, const uint8_t *src, int64_t position);

#endif
