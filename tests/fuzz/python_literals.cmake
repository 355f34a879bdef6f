dr_fuzz(python_literals LIBS dr_engine dr_base)
