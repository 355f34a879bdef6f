/* app/tools_parts.h: what the tools' files share. A result is written line by line, each with the place it names. */
#ifndef DR_APP_TOOLS_PARTS_H
#define DR_APP_TOOLS_PARTS_H

#include "app/tools.h"

void dr_tool__begin_line(dr_tool_result *r);
dr_status dr_tool__add_place(dr_tool_result *r, dr_tool_id tool, uint32_t file, uint32_t line, dr_str enclosing,
                             dr_error *err);
void dr_tool__add_more(dr_tool_result *r, uint64_t n_left_out);
void dr_tool__add_str(dr_buf *b, dr_str s);
void dr_tool__no_symbol(dr_tool_result *r, const dr_symbols *symbols, dr_str name);

/* tools_by_hand.c: for a person at a command line, in no profile's default roster. */
dr_status dr_tool__outline(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_error *err);
dr_status dr_tool__imports(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_error *err);
dr_status dr_tool__callees(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err);
dr_status dr_tool__changes(dr_tool_result *r, const dr_workspace *w, dr_str range, dr_error *err);

#endif
