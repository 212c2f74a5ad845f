"""What testssl.sh finds weak at 465 and 587: nothing of severity HIGH or CRITICAL.

The certificate is one as an authority gives them (90 days, with an address for revocation that
nobody asks here), and that authority is trusted: so nothing has to be overlooked. Left out are its
checks for web servers, and its simulations of old clients, which take minutes.
"""
import functools
import json
import shutil
import subprocess

import pytest

from authority import Authority, as_own
from hikyaku import HOSTNAME, Server

# Protocols, ciphers, preferences, certificate, forward secrecy; then one by one the weaknesses.
CHECKS = '-p -s -P -S -f -H -I -BB -R -C -O -Z -W -A -L -F -J -D -4'.split()
MUST_PASS = ('SSLv2', 'SSLv3', 'TLS1_3', 'cert_chain_of_trust', 'cert_trust', 'heartbleed', 'CCS',
             'ROBOT', 'secure_renego', 'CRIME_TLS', 'SWEET32', 'FREAK', 'DROWN', 'LOGJAM', 'RC4')
SECONDS = 180


def start(server, authority, folder, name, port, *options):
    """testssl.sh at work, and the file it will have written."""
    out = folder / f'{name}.json'
    command = ['testssl', '--quiet', '--color', '0', '--warnings', 'off', '-n', 'none', '--ip',
               '127.0.0.1', '--add-ca', authority.file, '--jsonfile', out, *options, *CHECKS,
               f'{server.hostname}:{port}']
    out.unlink(missing_ok=True)
    # In a folder of its own: it looks around for files of its own.
    return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT), out


def check(run, again):
    """Its findings by name, after nothing was found that counts. Up to 49 it ends with the number
    of answers that it could not make sense of; it gives each of its questions a few seconds only,
    so that may be the load of others: then it is asked again."""
    process, out = run
    said, _ = process.communicate(timeout=SECONDS)
    if 0 < process.returncode < 50 and again is not None:
        return check(again(), None)
    findings = json.loads(out.read_text())
    unclear = [f for f in findings if f['severity'] == 'WARN']
    assert process.returncode == 0, (unclear, said)
    weak = [f for f in findings if f['severity'] in ('HIGH', 'CRITICAL', 'FATAL')]
    assert not weak, weak
    return {f['id']: f for f in findings}


def test_testssl_finds_nothing(tmp_path):
    if shutil.which('testssl') is None:
        pytest.skip('testssl is not installed (package testssl.sh)')
    authority = Authority(tmp_path)
    certificate = authority.issue(HOSTNAME, 90,
                                  'crlDistributionPoints=URI:http://crl.example.jp/a.crl\n')
    with Server(config=as_own(certificate, tmp_path / 'live'),
                settings={'brakes.connections': '0'}) as server:
        # Both at once: they wait more than they work.
        asked = [functools.partial(start, server, authority, tmp_path, name, port, *options)
                 for name, port, *options in (
                     ('submissions', server.submissions_port),
                     ('submission', server.submission_port, '-t', 'smtp'))]
        runs = [ask() for ask in asked]

        def repeat(ask):
            runs.append(ask())
            return runs[-1]

        try:
            for ask, run in zip(asked, list(runs)):
                found = check(run, functools.partial(repeat, ask))
                bad = {name: found.get(name) for name in MUST_PASS
                       if found.get(name, {}).get('severity') != 'OK'}
                assert not bad, bad
        finally:
            for process, _ in runs:
                process.kill()
