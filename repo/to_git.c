#include "repo/to_git.h"

#include "base/hash.h"
#include "repo/content.h"

#include <string.h>

dr_to_git dr_to_git__of(const dr_attr_set *attr, bool autocrlf)
{
    const bool unsaid = !attr->text_yes && !attr->text_no && !attr->text_auto;
    return (dr_to_git){.line_ends = attr->text_yes,
                       .guess = attr->text_auto || (unsaid && autocrlf),
                       .lfs = attr->lfs,
                       .encoding = attr->encoding};
}

uint8_t dr_to_git__done(const dr_to_git *how)
{
    return (uint8_t)((how->line_ends ? DR_TO_GIT_LINE_ENDS : 0) | (how->lfs ? DR_TO_GIT_LFS : 0) |
                     (how->encoding.n ? DR_TO_GIT_ENCODING : 0));
}

dr_to_git dr_to_git__again(uint8_t done, dr_str encoding)
{
    return (dr_to_git){.line_ends = done & DR_TO_GIT_LINE_ENDS,
                       .lfs = done & DR_TO_GIT_LFS,
                       .encoding = done & DR_TO_GIT_ENCODING ? encoding : DR_STR("")};
}

uint32_t dr_to_git__digest(const dr_to_git *how)
{
    const uint32_t flags =
        (how->line_ends ? 1u : 0u) | (how->guess ? 2u : 0u) | (how->lfs ? 4u : 0u) | (how->encoding.n ? 8u : 0u);
    return flags | (how->encoding.n ? (uint32_t)dr_xxh3_128(how->encoding.s, how->encoding.n).lo << 4 : 0);
}

bool dr_to_git__guesses_text(dr_str content)
{
    bool crlf = false;
    if (content.n == 0 || memchr(content.s, 0, content.n))
        return false;
    for (const char *p = content.s, *end = p + content.n; (p = memchr(p, '\r', (size_t)(end - p))); p++) {
        if (p + 1 == end || p[1] != '\n')
            return false; /* git: a carriage return alone means binary */
        crlf = true;
    }
    return crlf;
}

static void drop_carriage_returns(dr_buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        if (b->data[i] != '\r' || i + 1 == b->n || b->data[i + 1] != '\n')
            b->data[n++] = b->data[i];
    b->n = n;
    if (b->data)
        b->data[n] = 0;
}

/* The pointer that Git LFS commits in place of the content. */
static void make_pointer(dr_buf *content)
{
    char hex[65];
    const size_t size = content->n;
    const dr_digest d = dr_sha256(content->data, size);
    dr_digest_hex(hex, &d);
    dr_buf_clear(content);
    dr_buf_printf(content, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %zu\n", hex, size);
}

dr_status dr_to_git__apply(dr_buf *content, const dr_to_git *how, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf utf8 = {0};
    dr_content_kind kind;

    if (how->lfs) { /* an empty file is its own pointer */
        if ((st = dr_content__look(&kind, &utf8, dr_buf_view(content), DR_STR(""), err)) != DR_OK)
            goto done;
        if (kind != DR_CONTENT_LFS && content->n)
            make_pointer(content);
    }
    if (how->encoding.n) {
        if ((st = dr_content__look(&kind, &utf8, dr_buf_view(content), how->encoding, err)) != DR_OK)
            goto done;
        if (kind == DR_CONTENT_UTF16 || kind == DR_CONTENT_NAMED) {
            const dr_buf bytes = *content;
            *content = utf8;
            utf8 = bytes;
        }
    }
    if (how->line_ends)
        drop_carriage_returns(content);
    if (content->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    dr_buf_free(&utf8);
    return st;
}
