/* The table of mechanisms: see mechanism.h. */
#include "sasl/mechanism.h"

static const struct {
    const char *name;
    unsigned traits;
} MECHANISMS[SASL_MECHANISM_COUNT] = {
    [SASL_EXTERNAL] = {"EXTERNAL", 0},
    [SASL_SCRAM_SHA_256_PLUS] = {"SCRAM-SHA-256-PLUS", SASL_TRAIT_BINDING | SASL_TRAIT_SHA_256},
    [SASL_SCRAM_SHA_1_PLUS] = {"SCRAM-SHA-1-PLUS", SASL_TRAIT_BINDING},
    [SASL_SCRAM_SHA_256] = {"SCRAM-SHA-256", SASL_TRAIT_SHA_256},
    [SASL_SCRAM_SHA_1] = {"SCRAM-SHA-1", 0},
    [SASL_OAUTHBEARER] = {"OAUTHBEARER", SASL_TRAIT_PLAINTEXT},
    [SASL_XOAUTH2] = {"XOAUTH2", SASL_TRAIT_PLAINTEXT},
    [SASL_CRAM_MD5] = {"CRAM-MD5", SASL_TRAIT_SERVER_FIRST},
    [SASL_PLAIN] = {"PLAIN", SASL_TRAIT_PLAINTEXT},
    [SASL_LOGIN] = {"LOGIN", SASL_TRAIT_PLAINTEXT | SASL_TRAIT_SERVER_FIRST},
};

struct str sasl_mechanism_name(enum sasl_mechanism mechanism)
{
    ASSERT(mechanism < SASL_MECHANISM_COUNT);
    return str_from_c(MECHANISMS[mechanism].name);
}

unsigned sasl_mechanism_traits(enum sasl_mechanism mechanism)
{
    ASSERT(mechanism < SASL_MECHANISM_COUNT);
    return MECHANISMS[mechanism].traits;
}

bool sasl_mechanism_find(struct str name, enum sasl_mechanism *out_mechanism)
{
    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        if (!str_eq_nocase(name, str_from_c(MECHANISMS[i].name)))
            continue;
        *out_mechanism = (enum sasl_mechanism)i;
        return true;
    }
    return false;
}

void sasl_mechanisms_put(unsigned set, struct buf *out)
{
    bool is_first = true;

    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        if ((set & SASL_SET(i)) == 0)
            continue;
        if (!is_first)
            buf_put_char(out, ' ');
        buf_put_c(out, MECHANISMS[i].name);
        is_first = false;
    }
}

unsigned sasl_mechanisms_read(struct str words)
{
    unsigned set = 0;
    struct str word;

    while (words.len > 0) {
        enum sasl_mechanism mechanism;
        str_cut(words, ' ', &word, &words);
        if (sasl_mechanism_find(str_trim(word), &mechanism))
            set |= SASL_SET(mechanism);
    }
    return set;
}
