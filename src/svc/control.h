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
    CONTROL_STORE_CHANNEL, /* u32 number, + fd, to a worker: this is its channel to the store now */
    CONTROL_ADD_CHANNEL,   /* u8 role, + fd, to the store: serve it */
    CONTROL_LISTEN_RESET,  /* forget the listeners; the new ones follow */
    CONTROL_LISTEN,        /* + fd: accept connections here */
    CONTROL_DRAIN,         /* finish what is under way, take nothing new, end */
    CONTROL_RELOAD_DONE,   /* u64 token, u16 errno, lp text, to the store */
    /* child to master */
    CONTROL_READY = 100,
    CONTROL_RELOAD,       /* u64 token, from the store: an administrator asks */
    CONTROL_CHANNEL_LOST, /* u32 number, from a worker: this channel has ended, make a new one */
};
