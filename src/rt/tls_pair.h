/* Two ends of a connection in one process, each in its fiber, for the tests of TLS. */
#pragma once

#include "rt/tls.h"

struct tls_pair {
    /* Before: what each end does. A context of NULL leaves that end plain. */
    struct tls_server *server_context;
    struct tls_client *client_context;
    struct tls_connect_params params;
    void (*serve)(struct tls_pair *p); /* after the handshake, whatever came of it; or NULL */
    void (*use)(struct tls_pair *p);
    int64_t accept_wait_ms; /* 0: long enough */
    int socket_bytes;       /* of the sockets' buffers; 0: as the system has it */
    bool is_tcp;
    void *arg;
    /* After. */
    int accepted, connected; /* results of the handshakes */
    struct stream server, client;
    struct fiber_group fibers;
};

/* Runs both ends to their end, and closes them. What they need of tls_info they note themselves. */
void tls_pair_run(struct tls_pair *p);
