dr_fuzz(messages LIBS dr_engine dr_base)
