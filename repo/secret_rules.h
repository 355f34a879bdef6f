/* repo/secret_rules.h: which byte strings may open a secret, and the judge of each (inside repo/secret* only).
 *
 * A rule has an anchor of 3 to 8 bytes that the scan looks for at every position at once (secrets.c), and a matcher
 * that sees the whole text around it. Anchors are bytes of the text, except
 *   \1 a lower-case hex digit or a digit    \2 a digit    \3 a letter or a digit    \4 no letter, digit, '_' or '-'
 * and, where `fold` is set, lower-case letters, which stand for both cases.
 *
 * Matchers look at most DR_SECRET_REACH bytes around the anchor unless what they pass over is itself the secret; that
 * is what keeps a scan linear. */
#ifndef DR_REPO_SECRET_RULES_H
#define DR_REPO_SECRET_RULES_H

#include "repo/secrets.h"

enum { DR_SECRET_REACH = 512 };

typedef struct dr_secret_place {
    size_t at, n;
    const char *kind;
} dr_secret_place;

typedef struct dr_secret_rule dr_secret_rule;

/* [at, end) holds the anchor. True: *out is a place within the text that does not begin before `floor`. */
typedef bool dr_secret_matcher(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                               size_t end);

struct dr_secret_rule {
    const char *anchor;
    bool fold;
    const char *kind;
    dr_secret_matcher *match;
    /* For the matchers that read them. */
    uint16_t alphabet; /* DR_CH_ bits of what follows the anchor */
    uint16_t min, max; /* its bytes */
    uint8_t back;      /* bytes of the alphabet that belong to it before the anchor */
};

extern const dr_secret_rule dr_secret__rules[];
extern const size_t dr_secret__n_rules;

/* Does this byte stand at this place of an anchor? */
bool dr_secret__anchor_has(const dr_secret_rule *rule, size_t i, uint8_t byte);

/* Does the anchor of this rule end at `end` (exclusive), and not begin before floor? */
bool dr_secret__anchor_ends(const dr_secret_rule *rule, dr_str text, size_t floor, size_t end);

/* Does an issuer's form (a rule with match_issued) begin at `at`? */
bool dr_secret__issued_at(dr_str text, size_t at);

/* secret_forms.c: secrets that are known by what surrounds them. */
dr_secret_matcher dr_secret__match_private_key, dr_secret__match_putty_key, dr_secret__match_jwt, dr_secret__match_address,
    dr_secret__match_bearer, dr_secret__match_basic, dr_secret__match_webhook, dr_secret__match_telegram;

/* secret_assigned.c: a value given to a name that ends with the anchor. min: the least length of a value, max: the bits
 * of surprise that a quoted one must have. */
dr_secret_matcher dr_secret__match_assigned;

/* secret_value.c. How much likelier the value was drawn at random than written by a person as a name, words or a
 * number, in bits; negative for most text. Looks at the first 256 bytes. */
int dr_secret__surprise(dr_str v);

/* What a person does to a word to make a password of it: signs, digits and capitals inside, a few bits each. */
int dr_secret__oddity(dr_str v);

/* How many different bytes. */
size_t dr_secret__n_distinct(dr_str v);

/* Stands for a secret without being one: "example", "changeme", "xxxx", "${VAR}", "<token>", "0123456789", one letter
 * repeated. */
bool dr_secret__is_placeholder(dr_str v);

/* Random by nature but no secret: a UUID, a checksum with its name, a password's hash. */
bool dr_secret__is_public(dr_str v);

/* Is this base64 of "name:password" with a password that is no placeholder? */
bool dr_secret__is_basic_login(dr_str v);

/* secret_allow.c. Is this one of the fingerprints that the user accepts? a may be NULL. */
bool dr_secret_allow__has(const dr_secret_allow *a, const char *fingerprint);

/* Character classes. */
enum {
    DR_CH_LOWER = 1,
    DR_CH_UPPER = 2,
    DR_CH_DIGIT = 4,
    DR_CH_HEX = 8, /* 0-9a-f */
    DR_CH_UNDER = 16,
    DR_CH_DASH = 32,
    DR_CH_DOT = 64,
    DR_CH_B64 = 128,    /* + / */
    DR_CH_EQUALS = 256, /* = */
    DR_CH_PERCENT = 512,
    DR_CH_BASE32 = 1024, /* A-Z2-7 */
    DR_CH_BLANK = 2048,  /* space, tab */
    DR_CH_EOL = 4096,
    DR_CH_TILDE = 8192,
    DR_CH_HEXU = 16384, /* A-F */
    DR_CH_ALPHA = DR_CH_LOWER | DR_CH_UPPER,
    DR_CH_ALNUM = DR_CH_ALPHA | DR_CH_DIGIT,
    DR_CH_WORD = DR_CH_ALNUM | DR_CH_UNDER,
    DR_CH_URL64 = DR_CH_WORD | DR_CH_DASH,
    DR_CH_BASE64 = DR_CH_ALNUM | DR_CH_B64,
};

extern const uint16_t dr_secret__class[256];

static inline bool dr_secret__is(char c, unsigned classes)
{
    return (dr_secret__class[(uint8_t)c] & classes) != 0;
}

#endif
