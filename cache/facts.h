/* cache/facts.h: the cache as a dr_blob_store (base/blob_store.h): symbols, tokens, commit tables.
 *
 * get sees every put of this process at once, and those of others once they are flushed. Puts gather in memory and go to
 * disk in one transaction, when some MiB have gathered, and at dr_cache_flush and dr_cache_close. A value carries a checksum over
 * key and value: a damaged one is not found. Keys longer than 480 bytes are replaced by a digest; keys that begin with "\xff" are
 * its own. A value may take a quarter of the budget (DR_ERR_LIMIT beyond: not kept); a large one is kept in pieces, so that putting
 * and getting it needs little memory beside the caller's own.
 *
 * Budget: facts live in two generations. New ones go to the young; one that is found in the old is put into the young
 * again. When the young one holds half the budget, the old one is dropped whole and they change places. So the budget is never
 * exceeded, what is used survives, and no clock or list is needed. */
#ifndef DR_CACHE_FACTS_H
#define DR_CACHE_FACTS_H

#include "base/blob_store.h"
#include "cache/cache.h"

/* Borrowed from the cache, valid until it is closed. NULL for a NULL cache: "no store". */
const dr_blob_store *dr_cache_facts(dr_cache *c);

#endif
