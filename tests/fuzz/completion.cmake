dr_fuzz(completion LIBS dr_engine dr_base)
