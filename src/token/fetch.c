/* Requests to an identity provider: see fetch.h. */
#include "token/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/url.h"
#include "crypt/secret.h"

enum { STATUS_OK = 200, CODED_MAX_BYTES = 4096 };

struct fetcher {
    CURL *curl;
    char error[CURL_ERROR_SIZE];
};

void fetch_start(void)
{
    ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

struct fetcher *fetcher_new(void)
{
    struct fetcher *f = xcalloc(1, sizeof(*f));

    f->curl = curl_easy_init();
    ASSERT(f->curl != NULL);
    return f;
}

void fetcher_free(struct fetcher *f)
{
    if (f == NULL)
        return;
    curl_easy_cleanup(f->curl);
    free(f);
}

void fetch_put_form(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (ascii_is_alnum(c) || str_find(STR("-._~"), c) >= 0)
            buf_put_char(out, c);
        else
            buf_printf(out, "%%%02X", (unsigned char)c);
    }
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct buf *body = arg;

    buf_put(body, bytes, size * count);
    return buf_status(body) == 0 ? size * count : 0;
}

static void set_safety(CURL *curl, const struct fetch_request *r)
{
    struct curl_blob ca = {
        .data = (void *)(uintptr_t)r->ca_pem.ptr, .len = r->ca_pem.len, .flags = CURL_BLOB_COPY};

    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, r->may_http ? "https,http" : "https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* nobody waits for a slow name server */
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* Not the library's own places; an empty blob would let it look there. */
    (void)curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);
    (void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    if (r->ca_pem.len > 0)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &ca);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)r->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)FETCH_MAX_BYTES);
    (void)curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 1L);
}

/* RFC 6749 section 2.3.1: id and secret are coded like a form before they go into Basic. */
static void set_client(CURL *curl, const struct fetch_request *r)
{
    struct buf coded;

    if (r->id == NULL)
        return;
    buf_init(&coded, CODED_MAX_BYTES);
    ASSERT(buf_reserve(&coded, CODED_MAX_BYTES) != NULL);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    fetch_put_form(str_from_c(r->id), &coded);
    (void)curl_easy_setopt(curl, CURLOPT_USERNAME, buf_c_str(&coded));
    secret_reset_buf(&coded);
    fetch_put_form(str_from_c(r->secret), &coded);
    (void)curl_easy_setopt(curl, CURLOPT_PASSWORD, buf_c_str(&coded));
    secret_wipe_buf(&coded);
}

static int explain(const struct fetcher *f, CURLcode code, char out_why[FETCH_WHY_BYTES])
{
    const char *text = f->error[0] != '\0' ? f->error : curl_easy_strerror(code);

    (void)snprintf(out_why, FETCH_WHY_BYTES, "%s", text);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return -ETIMEDOUT;
    if (code == CURLE_WRITE_ERROR || code == CURLE_FILESIZE_EXCEEDED)
        return -EMSGSIZE;
    return -ECONNREFUSED;
}

static int perform(struct fetcher *f, const struct fetch_request *r, struct buf *body,
                   struct curl_slist *headers, char out_why[FETCH_WHY_BYTES])
{
    CURL *curl = f->curl;
    long status = 0;

    f->error[0] = '\0';
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, f->error);
    (void)curl_easy_setopt(curl, CURLOPT_URL, r->url);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (r->form != NULL)
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->form);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        return explain(f, code, out_why);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == STATUS_OK)
        return 0;
    (void)snprintf(out_why, FETCH_WHY_BYTES, "it answers with HTTP status %ld", status);
    return -EPROTO;
}

int fetch(struct fetcher *f, const struct fetch_request *request, struct buf *out_body,
          char out_why[FETCH_WHY_BYTES])
{
    out_why[0] = '\0';
    if (!url_is_safe(str_from_c(request->url), request->may_http)) {
        (void)snprintf(out_why, FETCH_WHY_BYTES, "%s", "that address may not be asked");
        return -EINVAL;
    }
    if (request->timeout_ms <= 0) {
        (void)snprintf(out_why, FETCH_WHY_BYTES, "%s", "there is no time left");
        return -ETIMEDOUT;
    }
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    /* Connections stay, everything else is set anew. */
    curl_easy_reset(f->curl);
    set_safety(f->curl, request);
    set_client(f->curl, request);
    int r = perform(f, request, out_body, headers, out_why);
    curl_easy_reset(f->curl);
    curl_slist_free_all(headers);
    return r;
}
