/*
 * What the master and its children say to each other over the control socketpair (rt/fdpass.h).
 */
#pragma once

enum {
    CONTROL_FD = 3, /* where a child finds its end */
};

enum control_message {
    /* master to child */
    CONTROL_SETTINGS = 1,  /* encoded settings: first of all, and again after a reload */
    CONTROL_IDENTITY,      /* u8 slot: what ids are made with */
    CONTROL_STORE_CHANNEL, /* + fd, to a worker: use this channel to the store from now on */
    CONTROL_ADD_CHANNEL,   /* u8 role, + fd, to the store: serve it */
    CONTROL_LISTEN_RESET,  /* forget the listeners; the new ones follow */
    CONTROL_LISTEN,        /* + fd: accept connections here */
    CONTROL_DRAIN,         /* finish what is under way, take nothing new, end */
    CONTROL_RELOAD_DONE,   /* u64 token, u16 errno, lp text, to the store */
    /* child to master */
    CONTROL_READY = 100,
    CONTROL_RELOAD, /* u64 token, from the store: an administrator asks */
};
