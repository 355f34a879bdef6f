dr_fuzz(cache LIBS dr_cache)
