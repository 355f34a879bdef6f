dr_fuzz(symbols LIBS dr_repo)
dr_fuzz(line_diff LIBS dr_repo)
dr_fuzz(secrets LIBS dr_repo)
