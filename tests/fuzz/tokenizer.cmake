dr_fuzz(tokenizer LIBS dr_engine dr_base)
