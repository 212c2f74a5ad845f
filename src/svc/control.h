/*
 * What the master and its children say to each other over the control socketpair (rt/fdpass.h).
 *
 * A child ignores messages that it does not know, and closes the descriptors that come with them.
 */
#pragma once

enum {
    CONTROL_FD = 3, /* where a child finds its end */
};

/* Whom a worker has a channel to. */
enum control_peer {
    CONTROL_PEER_STORE = 0,
    CONTROL_PEER_RESOLVER,
    CONTROL_PEER_AUTH, /* runs only when the settings need it */
    CONTROL_PEERS,     /* how many there are */
};

/* What a listening socket is for. */
enum control_listener {
    CONTROL_LISTENER_ADMIN = 0,   /* the control socket of the command line, to the store */
    CONTROL_LISTENER_SMTP,        /* listen.smtp */
    CONTROL_LISTENER_SUBMISSION,  /* listen.submission: STARTTLS */
    CONTROL_LISTENER_SUBMISSIONS, /* listen.submissions: TLS from the first byte */
    CONTROL_LISTENERS,            /* how many there are */
};

enum control_message {
    /* master to child */
    CONTROL_SETTINGS = 1,     /* encoded settings: first of all, and again after a reload */
    CONTROL_IDENTITY,         /* u8 slot: what ids are made with */
    CONTROL_STORE_CHANNEL,    /* u32 number, + fd, to a worker: its channel to the store from now */
    CONTROL_RESOLVER_CHANNEL, /* the same to the resolver */
    CONTROL_AUTH_CHANNEL,     /* the same to the auth process */
    CONTROL_ADD_CHANNEL,      /* u8 role, + fd, to one of these peers: serve it */
    CONTROL_LISTEN_RESET,     /* forget the listeners; the new ones follow */
    CONTROL_LISTEN,           /* u8 control_listener, + fd: accept connections here */
    CONTROL_TLS,              /* + fd, sealed: the child's part of svc/secrets.h from now on */
    CONTROL_KEY_REPORTS,      /* + fd, sealed: svc/key_report.h, to the store */
    CONTROL_DRAIN,            /* finish what is under way, take nothing new, end */
    CONTROL_RELOAD_DONE,      /* u64 token, u16 errno, lp text, to the store */
    /* child to master */
    CONTROL_READY = 100,
    CONTROL_RELOAD, /* u64 token, from the store: an administrator asks */
    /* u32 number, u8 control_peer, from a worker: this channel has ended, make a new one. Without
     * the last byte it is the store's. */
    CONTROL_CHANNEL_LOST,
};
