dr_fuzz(completion SOURCES ${CMAKE_CURRENT_LIST_DIR}/../engine/strict_completion.c LIBS dr_engine dr_base)
