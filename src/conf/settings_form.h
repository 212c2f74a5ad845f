/*
 * What strings and items of lists must look like: the forms that rows of settings_table.c and
 * settings_kinds.c name.
 *
 * Private to src/conf.
 */
#pragma once

#include "conf/settings_table.h"

extern const struct setting_form form_hostname;
extern const struct setting_form form_optional_hostname;
extern const struct setting_form form_path;
extern const struct setting_form form_optional_path;
extern const struct setting_form form_user;
extern const struct setting_form form_optional_user;
extern const struct setting_form form_service;
extern const struct setting_form form_printable;
extern const struct setting_form form_separators;
extern const struct setting_form form_listen;
extern const struct setting_form form_network;
extern const struct setting_form form_optional_ipv4;
extern const struct setting_form form_optional_ipv6;
extern const struct setting_form form_server;
extern const struct setting_form form_stub;
extern const struct setting_form form_record;
extern const struct setting_form form_pause;
extern const struct setting_form form_sender;
extern const struct setting_form form_host;
extern const struct setting_form form_domain_pattern;
extern const struct setting_form form_host_pattern;
extern const struct setting_form form_sender_pattern;
extern const struct setting_form form_section_label;
extern const struct setting_form form_optional_url;
extern const struct setting_form form_scope;
extern const struct setting_form form_ldap_url;
extern const struct setting_form form_optional_ldap_name;
extern const struct setting_form form_ldap_filter;
