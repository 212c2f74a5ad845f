/* One line of bounded, printable text that says what is wrong with something of TLS. */
#pragma once

enum { TLS_TEXT_BYTES = 240 };

struct tls_text {
    char text[TLS_TEXT_BYTES]; /* ends in NUL */
};
