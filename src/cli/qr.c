/* QR codes: see qr.h. PNG by its specification (ISO/IEC 15948): one bit a pixel, grey. */
#include "cli/qr.h"

#include <errno.h>
#include <libdeflate.h>
#include <qrencode.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    QUIET_MODULES = 4, /* the margin that the standard asks for */
    MODULE_PIXELS = 8,
    TEXT_MAX_BYTES = 1000,
};

struct qr {
    QRcode *code;
    int side; /* in modules, with the margin */
};

static int encode(struct str text, struct qr *out)
{
    char copy[TEXT_MAX_BYTES + 1];

    if (!str_copy(text, copy, sizeof(copy)))
        return -EMSGSIZE;
    out->code = QRcode_encodeString8bit(copy, 0, QR_ECLEVEL_M);
    if (out->code == NULL)
        return -EMSGSIZE;
    out->side = out->code->width + 2 * QUIET_MODULES;
    return 0;
}

static bool is_dark(const struct qr *qr, int x, int y)
{
    int width = qr->code->width;

    x -= QUIET_MODULES;
    y -= QUIET_MODULES;
    if (x < 0 || y < 0 || x >= width || y >= width)
        return false;
    return (qr->code->data[y * width + x] & 1) != 0;
}

/* --- terminal --- */

int qr_put_terminal(struct buf *out, struct str text)
{
    /* Light halves are drawn, dark ones are the background. */
    static const char *const halves[] = {"█", "▀", "▄", " "};
    struct qr qr;

    int r = encode(text, &qr);
    if (r < 0)
        return r;
    for (int y = 0; y < qr.side; y += 2) {
        buf_put_c(out, "\x1b[97;40m");
        for (int x = 0; x < qr.side; x++) {
            bool has_dark_top = is_dark(&qr, x, y), has_dark_bottom = is_dark(&qr, x, y + 1);
            buf_put_c(out, halves[2 * has_dark_top + has_dark_bottom]);
        }
        buf_put_c(out, "\x1b[0m\n");
    }
    QRcode_free(qr.code);
    return buf_status(out);
}

/* --- PNG --- */

static void put_be32(struct buf *out, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_put_u8(out, (uint8_t)(v >> shift));
}

/* Length, type, data, and the CRC of type and data. */
static void put_chunk(struct buf *out, const char *type, struct str data)
{
    uint32_t crc = libdeflate_crc32(0, type, 4);

    put_be32(out, (uint32_t)data.len);
    buf_put(out, type, 4);
    buf_put_str(out, data);
    put_be32(out, libdeflate_crc32(crc, data.ptr, data.len));
}

/* One line of pixels: the filter (none), then eight pixels a byte, white is 1. */
static void put_line(struct buf *out, const struct qr *qr, int y)
{
    buf_put_u8(out, 0);
    for (int x = 0; x < qr->side; x++)
        buf_put_u8(out, is_dark(qr, x, y) ? 0x00 : 0xff);
}

_Static_assert(MODULE_PIXELS == 8, "a module is a byte of a line");

static void put_pixels(struct buf *out, const struct qr *qr)
{
    for (int y = 0; y < qr->side * MODULE_PIXELS; y++)
        put_line(out, qr, y / MODULE_PIXELS);
}

static void put_header(struct buf *out, uint32_t side_pixels)
{
    struct buf header;

    buf_init(&header, 64);
    put_be32(&header, side_pixels);
    put_be32(&header, side_pixels);
    buf_put(&header, "\x01\x00\x00\x00\x00", 5); /* depth, grey, deflate, filters, not interlaced */
    put_chunk(out, "IHDR", buf_str(&header));
    buf_done(&header);
}

static void put_data(struct buf *out, struct str pixels)
{
    enum { LEVEL = 6 };
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(LEVEL);

    ASSERT(compressor != NULL);
    size_t room = libdeflate_zlib_compress_bound(compressor, pixels.len);
    char *packed = xmalloc(room);
    size_t bytes = libdeflate_zlib_compress(compressor, pixels.ptr, pixels.len, packed, room);
    libdeflate_free_compressor(compressor);
    put_chunk(out, "IDAT", str_from_mem(packed, bytes));
    free(packed);
}

int qr_put_png(struct buf *out, struct str text)
{
    struct buf pixels;
    struct qr qr;

    int r = encode(text, &qr);
    if (r < 0)
        return r;
    buf_init(&pixels, QR_OUT_MAX_BYTES);
    put_pixels(&pixels, &qr);
    buf_put(out, "\x89PNG\r\n\x1a\n", 8);
    put_header(out, (uint32_t)(qr.side * MODULE_PIXELS));
    put_data(out, buf_str(&pixels));
    put_chunk(out, "IEND", STR(""));
    QRcode_free(qr.code);
    r = buf_status(&pixels);
    buf_done(&pixels);
    return r < 0 ? r : buf_status(out);
}
