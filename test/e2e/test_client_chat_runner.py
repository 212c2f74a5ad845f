"""The runner of client scenarios, on a stand-in for the driver: it sees what is wrong."""
import json
import os
import subprocess

import pytest

from hikyaku import ROOT

HEAD = '# A scenario for the runner\nsender: s@example.jp\nrecipient: a@example.net\n'
PIPE = 'S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 PIPELINING\n'
PASSING = {
    'plain': 'text: read; send EHLO me; read; print usable;\nS: 220 x\nC: EHLO me\nS: 250 x\n'
             '=> usable\n',
    'pipelined': 'text: read; send EHLO me; read; send A; send B; read; print RCPT x;\n' + PIPE +
                 'C: A\nC: B\npause\nS: 250 a\nS: 250 b\n=> RCPT x\n',
    'data': 'text: read; raw a\\r\\n..b\\r\\n.\\r\\n; print y;\nS: 354 x\n'
            'C-data: a\\r\\n..b\\r\\n\n=> y\n',
    'bdat': 'text: read; raw BDAT 3 LAST\\r\\nabc; print y;\nS: 250 x\nC-bdat: abc\n=> y\n',
    'fill': 'text: read; raw xyxyxy.\\r\\n; print y;\nS: 354 x\nC-fill-data: 3 xy\n=> y\n',
    'times': 'text: read; raw N1\\r\\nN2\\r\\n; print y;\nS: 220 x\ntimes 2\nC: N{n}\n=> y\n',
    'close': 'text: end; print y;\nclose\n=> y\n',
    'quit': 'text: read; send QUIT; read; print y;\nS: 220 x\nquit\n=> y\n',
    'ignored': 'text: read; raw half a text; print y;\nS: 220 x\nignore\n=> y\n',
    'stuck': 'text: read; print y;\nS: 220 x\nstuck\n=> y\n',
    'any': 'text: read; raw 12345; print y;\nS: 220 x\nC-any: 5\n=> y\n',
    'many': 'text: read; print RCPT r1@example.net 1; print RCPT r2@example.net 1; '
            'print RCPT r3@example.net 2;\nS: 220 x\n'
            '=> RCPT r1..r2@example.net 1\n=> RCPT r3@example.net 2\n',
}
FAILING = {
    'wrong command': ('text: read; send HELO me;\nS: 220 x\nC: EHLO me\n=> y\n',
                      'x.chat:6: C: EHLO'),
    'early command': ('text: send EHLO me; read; print y;\npause\nS: 220 x\n=> y\n', 'said'),
    'no waiting': ('text: read; raw A\\r\\nB\\r\\n; read; read;\nS: 220 x\nC: A\nS: 250 a\n=> y\n',
                   'did not wait'),
    'one word more': ('text: read; send NOOP; print y;\nS: 220 x\n=> y\n', 'went on'),
    'closed early': ('text: read; close;\nS: 220 x\nC: EHLO me\n=> y\n', 'the client closed'),
    'no dot': ('text: read; raw a\\r\\n; print y;\nS: 354 x\nC-data: a\\r\\n\n=> y\n',
               'closed after'),
    'a forbidden dot': ('text: read; raw a\\r\\n.\\r\\n; print y;\nS: 354 x\nignore\n=> y\n',
                        'ended the text'),
    'wrong size': ('text: read; raw BDAT 2 LAST\\r\\nabc;\nS: 250 x\nC-bdat: abc\n=> y\n',
                   'BDAT 2'),
    'wrong outcome': ('text: read; print z;\nS: 220 x\n=> y\n', '=> z'),
    'outcome missing': ('text: read;\nS: 220 x\n=> y\n', 'the outcome is'),
    'the driver fails': ('text: read; fail;\nS: 220 x\n=> y\n', 'ended with 3'),
    'unknown step': ('text: x\nsay hello\n=> y\n', 'cannot read "say hello"'),
    'no outcome': ('text: x\nS: 220 x\n', 'needs a script and an outcome'),
    'unknown flag': ('flags: fast\nS: 220\n=> y\n', 'no flag "fast"'),
    'late message': ('S: 220\ntext: x\n=> y\n', 'comes before the script'),
}


def run_chat(folder, *names):
    """Runs client_chat.py on the stand-in; (exit status, {name: failure}, all it printed)."""
    results = folder / 'results.json'
    env = dict(os.environ, CLIENT_DRIVE=str(ROOT / 'test/lib/fake_client.py'))
    run = subprocess.run([ROOT / 'test/client_chat.py', '--results', results, *names], env=env,
                         timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         check=False)
    return run.returncode, dict(json.loads(results.read_text())), run.stdout


def test_right_scenarios_pass(tmp_path):
    for name, text in PASSING.items():
        (tmp_path / f'{name}.chat').write_text(HEAD + text)
    status, results, output = run_chat(tmp_path, tmp_path)
    assert status == 0, output
    assert len(results) == len(PASSING) and not any(results.values()), results


@pytest.mark.parametrize('name', FAILING)
def test_wrong_scenarios_fail_and_say_why(tmp_path, name):
    text, message = FAILING[name]
    path = tmp_path / 'x.chat'
    path.write_text(HEAD + text)
    status, results, output = run_chat(tmp_path, path)
    assert status == 1
    (failure,) = results.values()
    assert message in failure, output
