#!/bin/sh
# Puts an unpacked copy of a Debian mail server below DIR, for tests and benches to run as a peer.
#
#   tools/peer.sh NAME DIR      NAME: postfix, opensmtpd, dovecot, ...: a Debian package, or several
#                               joined by '+': dovecot-core+dovecot-lmtpd
#
# Prints the root of the copy: DIR/NAME. Nothing is installed: mail servers conflict with each other
# and with the machine's own, and nobody wants a test to become the machine's MTA. Libraries the
# machine lacks are unpacked into the same root. Programs find all of them when LD_LIBRARY_PATH is
# the line in ROOT/libpath. A second call with the same arguments needs no network. Users that a
# server insists on (postfix, postdrop, ...) are made as system users where we are root.
set -eu

usage() {
    echo 'usage: tools/peer.sh NAME DIR' >&2
    exit 2
}

say() {
    echo "peer.sh: $*" >&2
}

# The libraries among the dependencies of the packages that are not installed here.
lacking_libraries() {
    # shellcheck disable=SC2086 # a list of words
    apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances $1 | sed -n 's/^ *|\{0,1\}\(Pre\)\{0,1\}Depends: \(lib[^ ]*\)$/\2/p' |
        sort -u | while read -r library; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$library" 2>/dev/null)" = installed ] ||
            echo "$library"
    done
}

# download PACKAGE...: into the current directory; refreshes the package lists once when needed.
download() {
    set -- apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$@"
    "$@" >log 2>&1 && return 0
    if [ "$(id -u)" -eq 0 ]; then
        apt-get -qq update >>log 2>&1 || true
        "$@" >>log 2>&1 && return 0
    fi
    cat log >&2
    return 1
}

unpack() { # PACKAGES ROOT
    libraries=$(lacking_libraries "$1")
    # shellcheck disable=SC2086 # lists of words
    (cd "$2.deb" && download $1 $libraries) || return 1
    for deb in "$2.deb"/*.deb; do
        dpkg -x "$deb" "$2.new"
    done
    # A set-id program would not look at LD_LIBRARY_PATH; run by root it needs no set-id.
    find "$2.new" -type f -perm /6000 -exec chmod ug-s {} +
    find "$2.new" -type f -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd: |
        sed "s|$2.new|$2|g" >"$2.new/libpath"
}

# make_users NAME: the accounts a server of that name looks up when it starts.
make_users() {
    case $1 in
    postfix*) set -- postfix postdrop ;;
    opensmtpd) set -- opensmtpd opensmtpq ;;
    dovecot*) set -- dovecot dovenull ;;
    exim4*) set -- Debian-exim ;;
    *) return 0 ;;
    esac
    for user in "$@"; do
        getent passwd "$user" >/dev/null && getent group "$user" >/dev/null && continue
        if [ "$(id -u)" -ne 0 ]; then
            say "the server needs a user and a group '$user'; not root, so it may not start"
            continue
        fi
        getent group "$user" >/dev/null || groupadd --system "$user"
        getent passwd "$user" >/dev/null || useradd --system --gid "$user" --no-create-home \
            --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
    done
}

[ $# -eq 2 ] || usage
case $1 in *[!a-z0-9+.-]* | '' | [!a-z0-9]*) usage ;; esac
name=$1
mkdir -p "$2"
root=$(cd "$2" && pwd)/$name
# Tests run side by side; one of them fetches, the others wait for it.
exec 9>"$root.lock"
flock -w 300 9 || {
    say "somebody else has been fetching $name for five minutes"
    exit 1
}
if [ ! -f "$root/libpath" ]; then
    rm -rf "$root" "$root.new" "$root.deb"
    mkdir -p "$root.new" "$root.deb"
    unpack "$(echo "$name" | tr '+' ' ')" "$root" || {
        say "cannot get $name from Debian's archive"
        rm -rf "$root.new" "$root.deb"
        exit 1
    }
    rm -rf "$root.deb"
    mv "$root.new" "$root"
fi
make_users "$name"
echo "$root"
