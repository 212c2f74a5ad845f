"""The chat runner itself, on a stand-in for the binary: it sees what is wrong and says where."""
import json
import os
import subprocess

import pytest

from hikyaku import ROOT, split_mbox, with_settings

HEAD = '# A scenario for the runner\naccount: taro@example.jp\n'
PASSING = {
    'replies': 'S: 220\nC: EHLO me\nS: 250\nC: NONE\nS: 500 5.5.2\nC: QUIT\nS~ ^221 2\\.0\nclose\n',
    'multi': 'S: 220\nC: EHLO me\nS~ (?m)^250-PIPELINING$\nC: NONE\nS: 5xx 5.x.x\nsilence\n',
    'mail': 'S: 220\nC: EHLO me\nS: 250\nC: MAIL FROM:<>\nS: 250 2.1.0\n'
            'C: RCPT TO:<taro@example.jp>\nS: 250 2.1.5\nC: DATA\nS: 354\n'
            'C-raw: Subject: x\\r\\n\\r\\nFrom here\\r\\n..dot\\r\\n.\\r\\nQUIT\\r\\n\n'
            'S: 250\nS: 221\nmailbox taro@example.jp count 1\n'
            'mailbox taro@example.jp contains ^Subject: x$\nmailbox taro@example.jp lacks zzz\n'
            'mailbox taro@example.jp body From here\\n.dot\\n\ntrace taro@example.jp deliv\n'
            'log recipients=1\n',
    'clock': 'S: 220\nadvance 6min\nS: 421 4.4.2\nclose\n',
    'two': 'S: 220\n2connect\n2S: 220\n2C: QUIT\n2S: 221\nC: QUIT\nS: 221\ndrop\n'
           'connect from 127.0.0.2\nS: 220\n',
    'fill': 'S: 220\nC-fill: 3 NONE {n}\\r\\n\nS-times: 3 500\nsilence\n',
    'tls': 'S: 220\nC: STARTTLS\nS: 220\nhandshake\nsilence\nC: NONE\nS: 500\nC: QUIT\nS: 221\n'
           'close\n2connect from 127.0.0.2 at submission\n2S: 220\n',
    'base64': 'S: 220\nC-base64: AUTH PLAIN | a\\x00b 飛\nS~ ^334 YQBiIOmjmw==$\n'
              'C: AUTH\nS: 334\nC-base64: a\nS: 500\n',
    'last': 'C-raw: NONE\\r\\nQUIT\\r\\n\nlast ^221\nsilence\n',
}
FAILING = {
    'wrong code': ('S: 250\n', "the reply was '220 mx"),
    'wrong enhanced code': ('S: 220\nC: NONE\nS: 500 5.5.1\n', 'x.chat:5: S: 500 5.5.1'),
    'regex': ('S~ ^221\n', "the reply was '220"),
    'last': ('C: NONE\nC: QUIT\nlast ^421\n', "the last reply was '221"),
    'times': ('C: NONE\nS-times: 2 500\n', "reply 1 was '220"),
    'no close': ('S: 220\nC: NONE\nclose\n', 'instead of closing'),
    'not silent': ('S: 220\nC: NONE\nsilence\n', 'the server said'),
    'count': ('S: 220\nmailbox taro@example.jp count 2\n', 'waited 5 s in vain for 2 messages'),
    'crash': ('S: 220\nC: RCPT TO:<crash@x>\nS: 250\n', 'closed the connection'),
    'undeclared': ('S: 220\nmailbox a@example.jp count 0\n', 'declare it'),
    'unknown step': ('S: 220\nwait 3\n', 'there is no step "wait"'),
    'bad code': ('S: hello\n', 'S: takes a code'),
    'nothing expected': ('C: QUIT\n', 'it expects nothing'),
    'no port': ('connect at imap\nS: 220\n', 'connect [from ADDRESS] [at smtp|'),
    'no address': ('connect from\nS: 220\n', 'connect [from ADDRESS] [at smtp|'),
    'no handshake': ('S: 220\nC: NONE\nhandshake\nS: 220\n', 'x.chat:5: handshake'),
    'late setup': ('S: 220\naccount: a@b\n', 'comes before the dialogue'),
}


def run_chat(folder, *names):
    """Runs chat.py on the stand-in; (exit status, {name: failure}, all it printed)."""
    results = folder / 'results.json'
    env = dict(os.environ, HIKYAKU=str(ROOT / 'test/lib/fake_hikyaku.py'))
    run = subprocess.run([ROOT / 'test/chat.py', '--results', results, *names], env=env, timeout=60,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return run.returncode, dict(json.loads(results.read_text())), run.stdout


def test_right_scenarios_pass_on_one_server(tmp_path):
    for name, text in PASSING.items():
        (tmp_path / f'{name}.chat').write_text(HEAD + text)
    status, results, output = run_chat(tmp_path, tmp_path)
    assert status == 0, output
    assert len(results) == len(PASSING) and not any(results.values()), results
    assert output.endswith(f'{len(PASSING)} passed, 0 failed, 0 skipped\n')


@pytest.mark.parametrize('name', FAILING)
def test_wrong_scenarios_fail_and_say_where(tmp_path, name):
    text, message = FAILING[name]
    path = tmp_path / 'x.chat'
    path.write_text(HEAD + text)
    status, results, output = run_chat(tmp_path, path)
    assert status == 1
    (failure,) = results.values()
    assert message in failure, output


def test_settings_are_put_into_their_section():
    text = 'smtp {\n    max_errors = 10;\n    # max_x = 1;\n}\nlog {\n}\n'
    out = with_settings(text, {'smtp.max_errors': '3', 'smtp.max_x': '[]', 'store.a': '1h'})
    assert out == ('smtp {\n    max_x = [];\n    max_errors = 3;\n    # max_x = 1;\n}\nlog {\n}\n'
                   '\nstore {\n    a = 1h;\n}\n')


def test_mbox_is_split_at_from_lines_after_a_blank_line():
    data = b'From a\nS: 1\n\nx\n>From y\n\nFrom b\nS: 2\n\n\nlast\n\n'
    assert split_mbox(data) == [b'S: 1\n\nx\nFrom y\n', b'S: 2\n\n\nlast\n']
