"""What testssl.sh finds weak at 465 and 587: nothing of severity HIGH or CRITICAL.

The certificate is one as an authority gives them (90 days, with an address for revocation that
nobody asks here), and that authority is trusted: so nothing has to be overlooked. Left out are its
checks for web servers, and its simulations of old clients, which take minutes.
"""
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
    # In a folder of its own: it looks around for files of its own.
    return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT), out


def check(process, out):
    """Its findings by name, after nothing was found that counts."""
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said[-3000:]
    findings = json.loads(out.read_text())
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
        runs = [start(server, authority, tmp_path, 'submissions', server.submissions_port),
                start(server, authority, tmp_path, 'submission', server.submission_port, '-t',
                      'smtp')]
        try:
            for run in runs:
                found = check(*run)
                bad = {name: found.get(name) for name in MUST_PASS
                       if found.get(name, {}).get('severity') != 'OK'}
                assert not bad, bad
        finally:
            for process, _ in runs:
                process.kill()
