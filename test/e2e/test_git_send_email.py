"""git send-email over the network: it logs in at 587 (STARTTLS) and 465 (TLS), and verifies the
certificate by sendemail.smtpSSLCertPath. Its name for the server is localhost."""
import email
import email.policy

import pytest

from authority import Authority, as_own, self_signed
from git import DEVELOPER, Git
from hikyaku import PASSWORD, Server, until
from submission import TARO

HANAKO = 'hanako@example.jp'
WAYS = {'tls': 587, 'ssl': 465}


@pytest.fixture(scope='module', name='authority')
def fixture_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('authority'))


@pytest.fixture(scope='module', name='server')
def fixture_server(authority):
    own = as_own(authority.issue('localhost'), authority.folder / 'live')
    with Server(config=own) as server:
        server.add_account(TARO)
        server.add_account(HANAKO)
        yield server


def make_git(server, folder, encryption, trusts, **more):
    """A repository with a patch, set up as its manual says."""
    git = Git(server, folder)
    settings = {'smtpserver': 'localhost', 'smtpserverport': WAYS[encryption] + server.offset,
                'smtpencryption': encryption, 'smtpuser': TARO, 'smtppass': PASSWORD,
                'smtpsslcertpath': trusts, 'from': f'{DEVELOPER} <{TARO}>', **more}
    for name, value in settings.items():
        git.run('config', f'sendemail.{name}', value)
    git.commit('Begin', 'nothing\n')
    git.commit(f'日本語の件名 {folder.name}\n\n.\n..\nFrom here on', '日本語\n.\n')
    return git


def sent(server, folder):
    """The messages of that repository that have arrived, parsed."""
    parsed = [email.message_from_bytes(m, policy=email.policy.default)
              for m in server.export(HANAKO)]
    return [m for m in parsed if folder.name in m['subject']]


@pytest.mark.parametrize('encryption', WAYS)
@pytest.mark.parametrize('mechanism', ['PLAIN', 'LOGIN', None])
def test_git_sends_a_patch(server, authority, tmp_path, encryption, mechanism):
    """Without a mechanism Authen::SASL chooses."""
    more = {'smtpauth': mechanism} if mechanism else {}
    git = make_git(server, tmp_path, encryption, authority.file, **more)
    git.run('send-email', '--quiet', '--to', HANAKO, 'HEAD~1')
    until(lambda: sent(server, tmp_path), 10, 'the patch')
    mail, = sent(server, tmp_path)
    assert mail['subject'] == f'[PATCH] 日本語の件名 {tmp_path.name}'
    assert mail['from'] == f'{DEVELOPER} <{TARO}>'
    assert 'with ESMTPSA' in mail['received']
    text = mail.get_content()
    assert '\n.\n..\nFrom here on\n' in text and '+日本語\n+.\n' in text


@pytest.mark.parametrize('encryption', WAYS)
def test_git_trusts_nobody_else(server, tmp_path, encryption):
    git = make_git(server, tmp_path, encryption, self_signed(tmp_path, 'localhost').chain)
    run = git.run('send-email', '--to', HANAKO, 'HEAD~1', check=False)
    assert run.returncode != 0
    assert b'certificate verify failed' in run.stdout + run.stderr, run
    assert not sent(server, tmp_path)


@pytest.mark.parametrize('encryption', WAYS)
def test_git_is_told_of_a_wrong_password(server, authority, tmp_path, encryption):
    git = make_git(server, tmp_path, encryption, authority.file, smtppass='wrong')
    run = git.run('send-email', '--to', HANAKO, 'HEAD~1', check=False)
    assert run.returncode != 0 and b'5.7.8 Wrong user name or password' in run.stdout + run.stderr
    assert not sent(server, tmp_path)


def test_git_is_told_of_a_sender_that_is_not_his(server, authority, tmp_path):
    git = make_git(server, tmp_path, 'tls', authority.file, **{'from': HANAKO})
    run = git.run('send-email', '--to', HANAKO, 'HEAD~1', check=False)
    assert run.returncode != 0 and TARO.encode() in run.stdout + run.stderr, run
    assert not sent(server, tmp_path)
