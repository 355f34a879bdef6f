dr_fuzz(config LIBS dr_engine)
