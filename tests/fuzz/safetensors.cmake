dr_fuzz(safetensors LIBS dr_engine)
