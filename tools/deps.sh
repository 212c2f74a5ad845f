#!/bin/sh
# Installs what a target of the Makefile needs from Debian 12, and nothing else.
#
#   tools/deps.sh [build|check|lint|fuzz|bench]...        (default: build)
#
# Does nothing, and needs no network, when everything is there. Servers that tests talk to (Postfix,
# OpenSMTPD, Dovecot) are never installed as this machine's own: tools/peer.sh unpacks them aside.
set -eu

# group  package             why
table() {
    cat <<'TABLE'
build    meson               describes the build
build    ninja-build         runs it
build    pkg-config          finds the libraries
build    gcc                 C17 compiler
build    libc6-dev           headers of libc
build    libunbound-dev      asking and validating the DNS
build    ca-certificates     authorities that other servers' certificates are verified with
build    dns-root-data       the root's trust anchor, for DNSSEC
build    libsqlite3-dev      rows: accounts, mailboxes, queue, trace
build    libsodium-dev       password hashing (argon2id)
build    libseccomp-dev      sandbox of the workers
build    libssl-dev          TLS, certificates
build    libidn2-dev         domain names in any script
build    libunistring-dev    Unicode normalisation
build    libjansson-dev      --json output
build    libarchive-dev      backup files
build    libdeflate-dev      checksums of stored bodies (CRC-32)
build    libssl-dev          digests of SCRAM and of imported hashes (libcrypto)
build    libcurl4-openssl-dev  asking identity providers about tokens
build    libcrypt-dev        verifying imported password hashes
build    liboath-dev         one-time codes
build    libqrencode-dev     QR codes in the terminal and as PNG
build    libgsasl-dev        authentication mechanisms (PLAIN, LOGIN, CRAM-MD5)
build    libldap-dev         passwords that directory servers check
build    libpam0g-dev        passwords that PAM modules check
build    libidn-dev          preparing user names and passwords (SASLprep)
check    libcmocka-dev       unit tests
check    python3             test runner, chat scenarios, sinks
check    python3-cryptography  certificates, lists and tokens as other systems make them
check    python3-pytest      end-to-end tests
check    python3-pytest-xdist  several of them at once
check    swaks               a scriptable SMTP client
check    s-nail              a mail client as people use it
check    msmtp               a client that submits like sendmail
check    gsasl               every mechanism, by a client that is not ours
check    libnet-ssleay-perl  TLS for swaks
check    curl                another SMTP client implementation
check    sqlite3             looks into the store from outside
check    oathtool            one-time codes as an app makes them
check    whois               mkpasswd: password hashes as other systems make them
check    libzbar0            reads QR codes as a phone does
check    procps              processes and their memory
check    iproute2            sockets and loopback addresses
check    openssl             certificates and s_client
check    testssl.sh          looks for what is weak in TLS
check    git                 the tests of the commit check
check    git-email           git send-email, a program that calls sendmail
check    libmailtools-perl   git send-email reads addresses with it
check    libauthen-sasl-perl  git send-email logs in with it
check    libio-socket-ssl-perl  git send-email encrypts with it
lint     clang-format        layout of the code
lint     clang-tidy          finds bugs by reading
lint     pmccabe             length and complexity of functions
lint     shellcheck          finds bugs in shell scripts
lint     mandoc              checks the manual pages
lint     python3             the checks themselves
lint     git                 subjects of commits
fuzz     clang               compiler with libFuzzer
fuzz     libclang-rt-14-dev  libFuzzer and the sanitizers
fuzz     llvm                symbols in the reports
bench    python3             drives the load, writes the table
bench    procps              processes and their memory
TABLE
}

# The groups a group brings along.
groups_of() {
    case $1 in
    build) echo build ;;
    check) echo build check ;;
    lint) echo build lint ;;
    fuzz) echo build fuzz ;;
    bench) echo build bench ;;
    *)
        echo "deps.sh: unknown group '$1'; there are build, check, lint, fuzz, bench" >&2
        exit 2
        ;;
    esac
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Prints "package reason" of what the given groups lack.
missing() {
    wanted=" $* "
    table | while read -r group package reason; do
        case $wanted in *" $group "*) ;; *) continue ;; esac
        is_installed "$package" || echo "$package $reason"
    done | sort -u
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "deps.sh: not root and no sudo; as root run: $*" >&2
        return 1
    fi
}

# Ends with the message of apt-get when it cannot install; never asks, never starts a service.
install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 update
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 install "$@" >&2
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "deps.sh: this is not Debian; install by your own means what the table in $0 names" >&2
    exit 0
fi
groups=
for group in "${@:-build}"; do
    groups="$groups $(groups_of "$group")"
done
# shellcheck disable=SC2086 # a list of words
lacking=$(missing $groups)
[ -n "$lacking" ] || exit 0
echo 'Installing from Debian:'
echo "$lacking" | sed 's/^\([^ ]*\) */  \1: /'
# shellcheck disable=SC2046 # a list of words
install_packages $(echo "$lacking" | cut -d' ' -f1)
