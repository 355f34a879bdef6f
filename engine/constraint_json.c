/* JSON as grammars, and UTF-8 text: numbers and characters by tables, what nests by nodes. */
#include "engine/constraint_parts.h"

#include <pthread.h>

/* ---- machines, filled once; who writes them would otherwise have to repeat ranges by hand ---- */

enum { TEXT, STRING, NUMBER, COUNT, WHOLE, WHOLE_COUNT, MACHINES };

static dr_machine machines[MACHINES];
static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void lead(dr_machine *m, int from, unsigned first, unsigned last, int to)
{
    for (unsigned b = first; b <= last; b++)
        m->next[from][b] = (uint8_t)to;
}

/* UTF-8 beyond ASCII: shortest forms, no surrogates. States 1 to 7. */
static void fill_wide(dr_machine *m)
{
    lead(m, 0, 0xc2, 0xdf, 1);
    lead(m, 0, 0xe0, 0xe0, 2);
    lead(m, 0, 0xe1, 0xef, 3);
    lead(m, 0, 0xed, 0xed, 4);
    lead(m, 0, 0xf0, 0xf0, 5);
    lead(m, 0, 0xf1, 0xf3, 6);
    lead(m, 0, 0xf4, 0xf4, 7);
    lead(m, 1, 0x80, 0xbf, 0);
    lead(m, 2, 0xa0, 0xbf, 1);
    lead(m, 3, 0x80, 0xbf, 1);
    lead(m, 4, 0x80, 0x9f, 1);
    lead(m, 5, 0x90, 0xbf, 3);
    lead(m, 6, 0x80, 0xbf, 3);
    lead(m, 7, 0x80, 0x8f, 3);
    m->flags[0] = DR_MACHINE_END | DR_MACHINE_BETWEEN;
}

/* Escapes as the dialect's writer has them: \u00XX for control characters alone. */
static void fill_string(dr_machine *m)
{
    enum { ESCAPE = 8, U, U0, U00, U00X };

    fill_wide(m);
    lead(m, 0, ' ', 0x7f, 0);
    lead(m, 0, '"', '"', DR_MACHINE_REFUSED);
    lead(m, 0, '\\', '\\', ESCAPE);
    for (const char *p = "\"\\bfnrt"; *p; p++)
        lead(m, ESCAPE, (uint8_t)*p, (uint8_t)*p, 0);
    lead(m, ESCAPE, 'u', 'u', U);
    lead(m, U, '0', '0', U0);
    lead(m, U0, '0', '0', U00);
    lead(m, U00, '0', '1', U00X);
    lead(m, U00X, '0', '9', 0);
    lead(m, U00X, 'a', 'f', 0);
}

static void fill_number(dr_machine *m, bool whole, bool may_be_negative)
{
    enum { START, SIGN, ZERO, DIGITS, POINT, FRACTION, E, E_SIGN, EXPONENT };

    if (may_be_negative)
        lead(m, START, '-', '-', SIGN);
    for (int from = START; from <= SIGN; from++) {
        lead(m, from, '0', '0', ZERO);
        lead(m, from, '1', '9', DIGITS);
    }
    lead(m, DIGITS, '0', '9', DIGITS);
    m->flags[ZERO] = m->flags[DIGITS] = DR_MACHINE_END;
    if (whole)
        return;
    for (int from = ZERO; from <= FRACTION; from++) {
        if (from == ZERO || from == DIGITS)
            lead(m, from, '.', '.', POINT);
        if (from != POINT) {
            lead(m, from, 'e', 'e', E);
            lead(m, from, 'E', 'E', E);
        }
    }
    lead(m, POINT, '0', '9', FRACTION);
    lead(m, FRACTION, '0', '9', FRACTION);
    lead(m, E, '+', '+', E_SIGN);
    lead(m, E, '-', '-', E_SIGN);
    lead(m, E, '0', '9', EXPONENT);
    lead(m, E_SIGN, '0', '9', EXPONENT);
    lead(m, EXPONENT, '0', '9', EXPONENT);
    m->flags[FRACTION] = m->flags[EXPONENT] = DR_MACHINE_END;
}

static void fill(void)
{
    for (int i = 0; i < MACHINES; i++)
        for (int from = 0; from < DR_MACHINE_STATES; from++)
            lead(&machines[i], from, 0, 255, DR_MACHINE_REFUSED);
    fill_wide(&machines[TEXT]);
    lead(&machines[TEXT], 0, 0, 0x7f, 0);
    fill_string(&machines[STRING]);
    fill_number(&machines[NUMBER], false, true);
    fill_number(&machines[COUNT], false, false);
    fill_number(&machines[WHOLE], true, true);
    fill_number(&machines[WHOLE_COUNT], true, false);
    for (int i = 0; i < MACHINES; i++)
        for (int from = 0; from < DR_MACHINE_STATES; from++)
            for (int b = 0; b < 256; b++)
                if (machines[i].next[from][b] != DR_MACHINE_REFUSED)
                    machines[i].flags[from] |= DR_MACHINE_ON;
}

static const dr_machine *machine(int which)
{
    (void)pthread_once(&filled, fill);
    return &machines[which];
}

dr_node dr_grammar_utf8(dr_grammar *g, int32_t min, int32_t max)
{
    return dr_grammar__machine(g, machine(TEXT), min, max);
}

/* ---- nodes ---- */

static dr_node word(dr_grammar *g, const char *s)
{
    return dr_grammar_literal(g, dr_str_of(s));
}

#define N_OF(...) (sizeof((const dr_node[]){__VA_ARGS__}) / sizeof(dr_node))
#define SEQUENCE(g, ...) dr_grammar_sequence(g, (const dr_node[]){__VA_ARGS__}, N_OF(__VA_ARGS__))
#define CHOICE(g, ...) dr_grammar_choice(g, (const dr_node[]){__VA_ARGS__}, N_OF(__VA_ARGS__))

dr_node dr_grammar__json_string(dr_grammar *g, int32_t min, int32_t max)
{
    const dr_node quote = word(g, "\"");

    return SEQUENCE(g, quote, dr_grammar__machine(g, machine(STRING), min, max), quote);
}

dr_node dr_grammar__json_number(dr_grammar *g, bool whole, bool may_be_negative)
{
    return dr_grammar__machine(g, machine(whole ? may_be_negative ? WHOLE : WHOLE_COUNT : may_be_negative ? NUMBER : COUNT), 0, -1);
}

/* Level inside level, so that the depth is bounded by construction. */
static void build_json(dr_grammar *g)
{
    enum { LEVELS = 16 };
    const dr_node string = dr_grammar__json_string(g, 0, -1), number = dr_grammar__json_number(g, false, true);
    const dr_node comma = word(g, ", "), colon = word(g, ": ");
    const dr_node plain = CHOICE(g, number, word(g, "true"), word(g, "false"), word(g, "null"));
    const dr_node array = word(g, "[]"), object = word(g, "{}");
    dr_node value = CHOICE(g, string, plain), other = plain;

    for (int level = 0; level < LEVELS; level++) {
        const dr_node member = SEQUENCE(g, string, colon, value);
        const dr_node full_array = SEQUENCE(g, word(g, "["), value, dr_grammar_repeat(g, SEQUENCE(g, comma, value), 0, -1), word(g, "]"));
        const dr_node full_object = SEQUENCE(g, word(g, "{"), member, dr_grammar_repeat(g, SEQUENCE(g, comma, member), 0, -1), word(g, "}"));
        other = CHOICE(g, plain, array, object, full_array, full_object);
        value = CHOICE(g, string, other);
    }
    g->json[0] = value;
    g->json[1] = other;
}

dr_node dr_grammar_json(dr_grammar *g)
{
    if (g->json[0] < 0)
        build_json(g);
    return g->json[0];
}

dr_node dr_grammar__json_but_strings(dr_grammar *g)
{
    if (g->json[1] < 0)
        build_json(g);
    return g->json[1];
}
