/* Unit tests of other systems' hashes: every form, as mkpasswd, openssl passwd, doveadm pw, argon2
 * and passlib wrote it for the same password; what is refused, and why. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypt/foreign_hash.h"

static const char PASSWORD[] = "correct horse";

static const char *const HASHES[] = {
    /* mkpasswd -m yescrypt, bcrypt, sha-512 -R 10000 */
    "$y$j9T$dq/6eHaJjqDyHWZ9jWb1//$ptNO3CmzSWYBjGZpDy9Bznu/nKicbYFc3v/KvrHfYqD",
    "$2b$08$a0hGcejeUVsdJIjuLnra4.GWT8aw5.Ya0fx2ZMBKFs7iPpw6e9Ecu",
    "$6$rounds=10000$1uePbrFE/GGgOaGo$zpZ/qahegBl9M/miZU1amVD9xaY80v9kuBg5AKsLSSH."
    "EitYnJKEEalqebJtGUVrEj8alPSfGuVaP22qf1E4J/",
    /* openssl passwd -6, -5 */
    "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/"
    "uamSo5z0",
    "$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/",
    /* the same behind the name that LDAP and Dovecot put before it, in any case */
    "{CRYPT}$y$j9T$dq/6eHaJjqDyHWZ9jWb1//$ptNO3CmzSWYBjGZpDy9Bznu/nKicbYFc3v/KvrHfYqD",
    "{crypt}$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/",
    /* doveadm pw -s */
    "{SSHA}mMb/AqWA2A6Kyd80hcyLmYn6N1zglGCp",
    "{SSHA256}BMjF0OSFMwdXkmHHSQ+92ZUwn7A+1JPNRW9CJYPId8H6WybD",
    "{SSHA512}qytD+NhFTH6GKM3X/+kKD9UahFEYisetaGZ2Q30VP7wDEhVQILXsC8pVIPdNtkoXcyEB6heCM7wW3EFAvGXhT"
    "XpJA/o=",
    "{PBKDF2}$1$vMI0/3UHOg/iQV4N$5000$862db9c6f1a07571a5ca52763cca43ea73c2b3af",
    "{SHA512-CRYPT}$6$tFOV.sNeuNkDKlIx$1B.SH/aOF4md.cJX2/UoBBPKv1NCH7OR/"
    "1YRx0FpPOuoX2jVuIMQOldhw4HKWZmEYVeuH.JIhcZT5o5SL575H1",
    "{BLF-CRYPT}$2y$05$3tlVowirIxfudVNO1dbTaOBvB4S/Env6AhqmMCiyB.3jy8KKiZQuy",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$tG7gvoDQbJU+C8hCLdiJpg$"
    "w99H86bXlaBSdLFOQzDClNU/8cYRcQ0FPBctTY49xJ4",
    "{CRYPT}$2y$05$upmZejezDw/8VRTsRCIfQOVOISEUWZIQ.aotAoEEjH1kj7fRNJz/2",
    /* argon2 -id, with one lane and with four */
    "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHQxMjM0NTY3OA$"
    "7zlRla3r7FJqYkZKN0Wj1yCevdFD5zynUApW6u5pbg4",
    "$argon2id$v=19$m=8192,t=2,p=4$c29tZXNhbHQxMjM0NTY3OA$"
    "1IbwvNA5wqjUo9ajvgvQq97CC9rbYVdAzOc/Vuk3o00",
    /* passlib: pbkdf2_*, ldap_pbkdf2_* */
    "$pbkdf2$2000$mhPCGIOQ8r73nvP.H6M0Zg$ug/25eHKiJhKkesvzteeEPo7gtA",
    "$pbkdf2-sha256$2000$2FsrJaRUyvm/V8o5RygF4A$FFeKzQqSeaSywRZEtv29DZp0ke5iUFK99UsdmG6/j1s",
    "$pbkdf2-sha512$2000$v7c2xliLsVZqbQ0BIITQeg$"
    "ovR5ExfL5EjTviSxosonZgZPuUYAHiz3TTgYJpsZr1k0jhTOyV6n"
    "0N7s.tnbiEQlaw67yF6n.87n2j3k3hDt5A",
    "{PBKDF2}2000$AyDkPAeAEEKI8R7D.H9PqQ$SUz2MR7z2gYnavh3DboCYwrlnFU",
    "{PBKDF2-SHA256}2000$TIlxrjXm/H.v1Rpj7F1LaQ$Z9sX/q8HMGSji7nqqG7qFxd7EuLUWjls6JhZm6y1d.M",
    "{PBKDF2-SHA512}2000$9977/78XwhjDGOO8Vwph7A$yZTlEbwQ0WG8BLfGuLmxmrcV4c2r9gD88cH8jK1xg0gX6eO/"
    "d4afj8ySECCwWBP0xGYghNjmWionNySsu0Cqrg",
};

/* The text with one character near its end changed: of the digest, not of what surrounds it. */
static void change(const char *hash, char out[FOREIGN_HASH_MAX_BYTES])
{
    size_t at = strlen(hash) - 9;

    strcpy(out, hash);
    /* In {SSHA} the last bytes are the salt, which matters as well. */
    out[at] = out[at] == '7' ? '6' : '7';
}

static void every_form_knows_its_password_and_no_other(void **state)
{
    char wrong[FOREIGN_HASH_MAX_BYTES];
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof(HASHES) / sizeof(HASHES[0]); i++) {
        struct str hash = str_from_c(HASHES[i]);
        if (foreign_hash_check(hash, &why) != 0)
            fail_msg("%s: %s", HASHES[i], why);
        if (foreign_hash_verify(hash, str_from_c(PASSWORD)) != 1)
            fail_msg("%s: does not know its password", HASHES[i]);
        assert_int_equal(foreign_hash_verify(hash, STR("correct horses")), 0);
        assert_int_equal(foreign_hash_verify(hash, STR("correct hors")), 0);
        assert_int_equal(foreign_hash_verify(hash, STR("")), 0);
        assert_int_equal(foreign_hash_verify(hash, str_from_mem("correct horse\0", 14)), 0);
        change(HASHES[i], wrong);
        assert_true(foreign_hash_verify(str_from_c(wrong), str_from_c(PASSWORD)) <= 0);
    }
}

static const struct {
    const char *hash, *why; /* a part of it */
} REFUSED[] = {
    {"", "not a hash"},
    {"secret", "not a hash"},
    {"{PLAIN}correct horse", "not a hash"}, /* a blank */
    {"{PLAIN}secret", "a password and no hash"},
    {"{CLEARTEXT}secret", "a password and no hash"},
    {"{SHA}6xx1Yj1PBQOOLlzGtjyBVg8TSAg=", "without salt"},
    {"{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=", "without salt"},
    {"{NOVEL}abc", "not a hash"},
    {"$1$saltsalt$NuzA7WTAelpl95xgBGWN60", "not a hash"}, /* MD5 */
    {"{CRYPT}abTgwCbYlJ9DE", "not a hash"},               /* DES */
    {"$2b$15$a0hGcejeUVsdJIjuLnra4.GWT8aw5.Ya0fx2ZMBKFs7iPpw6e9Ecu", "too long to verify"},
    {"$2b$08$a0hGcejeUVsdJIjuLnra4.GWT8aw5.Ya0fx2ZMBKFs7iPpw6e9Ec", "not a whole hash"},
    {"$2b$08$a0hGcejeUVsdJIjuLnra4:GWT8aw5.Ya0fx2ZMBKFs7iPpw6e9Ecu", "not a whole hash"},
    {"$6$rounds=99999999$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2", "too long to verify"},
    {"$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Z", "not a whole hash"},
    {"$6$saltsalt", "not a whole hash"},
    {"$y$jFT$dq/6eHaJjqDyHWZ9jWb1//$ptNO3CmzSWYBjGZpDy9Bznu/nKicbYFc3v/KvrHfYqD",
     "too long to verify"},
    {"$y$j9T$dq/6eHaJjqDyHWZ9jWb1//$ptNO3Cmz", "not a whole hash"},
    {"$y$", "not a whole hash"},
    {"$argon2id$v=19$m=4194304,t=3,p=1$c29tZXNhbHQxMjM0NTY3OA$7zlRla3r7FJqYkZKN0Wj1yCevdFD5zynUApW",
     "too long to verify"},
    {"$argon2id$v=19$m=4096,t=3$c29tZXNhbHQxMjM0NTY3OA$7zlRla3r7FJqYkZKN0Wj", "not a whole hash"},
    {"$argon2i$v=19$m=4096,t=3,p=1$c29tZXNhbHQxMjM0NTY3OA$TU5y3BjQBKXMQWJfbZx4PkSO", "not a hash"},
    {"{SSHA}mMb/AqWA2A6Kyd80hcyLmYn6N1w=", "not a whole hash"}, /* no salt */
    {"{SSHA}mMb/AqWA2A6K!d80hcyLmYn6N1zglGCp", "not a whole hash"},
    {"{SSHA}mMb/AqWA2A6Kyd80hcyLmYn6N1zglGCpx", "not a whole hash"},
    {"{PBKDF2-SHA256}2000$TIlxrjXm/H.v1Rpj7F1LaQ", "not a whole hash"},
    {"{PBKDF2-SHA256}0$TIlxrjXm/H.v1Rpj7F1LaQ$Z9sX/q8HMGSji7nqqG7qFxd7EuLUWjls6JhZm6y1d.M",
     "not a whole hash"},
    {"{PBKDF2-SHA256}9000000$TIlxrjXm/H.v1Rpj7F1LaQ$Z9sX/q8HMGSji7nqqG7qFxd7EuLUWjls6JhZm6y1d.M",
     "too long to verify"},
    {"{PBKDF2}$1$vMI0/3UHOg/iQV4N$5000$862db9c6f1a07571a5ca52763cca43ea73c2b3a",
     "not a whole hash"},
};

static void what_cannot_or_should_not_be_taken_is_refused(void **state)
{
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof(REFUSED) / sizeof(REFUSED[0]); i++) {
        if (foreign_hash_check(str_from_c(REFUSED[i].hash), &why) != -EINVAL)
            fail_msg("%s was taken", REFUSED[i].hash);
        if (strstr(why, REFUSED[i].why) == NULL)
            fail_msg("%s: %s", REFUSED[i].hash, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_knows_its_password_and_no_other),
        cmocka_unit_test(what_cannot_or_should_not_be_taken_is_refused),
    };

    return cmocka_run_group_tests_name("foreign_hash", tests, NULL, NULL);
}
