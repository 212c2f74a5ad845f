/*
 * What the gate and the limits of accounts have seen, told to the administrator: as events in the
 * trace (incident.h), in the log, and when it looks like a stolen password, by a letter to
 * postmaster (verb_alarm.c).
 *
 * Whether a name is an account's is looked up behind the answer, when nobody waits for it any more.
 * Belongs to the loop thread.
 */
#pragma once

#include "conf/settings.h"
#include "store/ban_wire.h"
#include "store/guard.h"
#include "store/incident.h"
#include "store/job.h"
#include "store/wire.h"

/* What the gate and the watch need of the server. */
struct watch_hooks {
    /* Hands a request of the store's own to the executor. */
    void (*run)(void *arg, enum store_verb verb, struct str args);
    /* Takes events for the trace. */
    void (*record)(void *arg, struct str events);
    void *arg;
};

struct watch {
    struct watch_hooks hooks;
    struct id_maker ids; /* of events and alarms; no row has an id of it */
    struct incidents *incidents;
    uint64_t alarm_at; /* failed logins to an account, of late; 0: never */
};

/* Embedded. Pair: watch_done, which records what is left. */
void watch_init(struct watch *w, const struct settings *settings, const struct watch_hooks *hooks);
void watch_configure(struct watch *w, const struct settings *settings);
void watch_done(struct watch *w);

/* A login failed, for the name as it is looked up; `ban` is what that brought, or NULL. */
void watch_failure(struct watch *w, struct str name, struct ip_rate_key peer,
                   const struct guard_ban *ban);
/* A login was turned away because of the failures of others. */
void watch_slowed(struct watch *w, struct str name, struct ip_rate_key peer);
/* An administrator has banned a network. */
void watch_ban(struct watch *w, const struct ban_row *row);

/* A job has ended: a message that a limit refused, or what the watch has asked for itself; others
 * are ignored. True when it was the watch's own. */
bool watch_note_job(struct watch *w, const struct job *job);
/* Records what has changed: with is_all all of it, before somebody looks; else what is due. */
void watch_write(struct watch *w, bool is_all);
