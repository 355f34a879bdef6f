/* engine/foreign.h: the names that transformers gives the tensors of a checkpoint (spec 2.6).
 *
 * It saves in two ways. With `save_original_format=False` every name is its own, and the experts of a layer are one
 * tensor [experts][rows][columns], gate and up on top of each other. Otherwise the names are half translated back:
 * `model.` stays in front, `attn.kv_norm` comes out as `attn.norm`. Both are understood; neither is loaded directly. */
#ifndef DR_ENGINE_FOREIGN_H
#define DR_ENGINE_FOREIGN_H

#include "engine/safetensors.h"

enum { DR_FOREIGN_NAMES = 8, DR_FOREIGN_NAME = 192 };

/* Where the values of an official tensor lie. */
typedef struct dr_foreign_place {
    const dr_tensor *tensor; /* NULL: nowhere */
    bool fused;              /* rows first_row .. of expert `expert` of a tensor [experts][rows][columns] */
    int32_t expert;
    bool second_half; /* of the rows: w3 below w1 */
} dr_foreign_place;

/* The names an official tensor may have, most likely first; returns how many. */
int dr_foreign_names(char out[DR_FOREIGN_NAMES][DR_FOREIGN_NAME], const char *official);
dr_foreign_place dr_foreign_find(const dr_safetensors *s, const char *official);

/* DR_ERR_FORMAT with the command that converts, when the tensors have transformers' names. */
dr_status dr_foreign_refuse(const dr_safetensors *s, const char *dir, dr_error *err);
bool dr_foreign_is(const dr_safetensors *s);
/* Likewise of a folder, as far as its weights can be looked at. */
bool dr_foreign_folder(const char *dir);

#endif
