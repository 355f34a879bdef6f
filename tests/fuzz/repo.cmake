dr_fuzz(symbols LIBS dr_repo)
