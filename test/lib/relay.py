"""What tests of outgoing mail share: a server that relays on loopback, a letter, its queue."""
import re

from hikyaku import Server, Session, until

LETTER = 'Subject: 手紙\r\nFrom: taro@example.jp\r\n\r\nこんにちは\r\n.dots\r\n..\r\nend\r\n'


def records(*lines):
    """The value of resolver.local_records."""
    return '[ ' + ', '.join(f'"{line}"' for line in lines) + ' ]'


def sender_settings(port, *lines, **more):
    """A server that relays for everybody on loopback, with these DNS records and no others."""
    settings = {
        'smtp.relay_networks': '[ "127.0.0.0/8" ]',
        'outbound.port': port,
        'outbound.private_networks': '[ "127.0.0.0/8" ]',
        'resolver.local_records': records(*lines),
        'resolver.forwarders': '[ "127.0.0.1@9" ]',
        'resolver.trust_anchor_file': '""',
        'resolver.timeout': '3s',
        'queue.jitter': 0,
        'log.level': 'debug',
    }
    settings.update({name.replace('__', '.'): value for name, value in more.items()})
    return settings


def route_server(host, port, *lines, to='osaka.example', trusts=None, password=None):
    """A server whose mail for the domain `to` goes by a route to the host, which is here, at this
    port. `lines` are more settings of the route, in which PASSWORD_FILE stands for a file with the
    password. `trusts` is the file of authorities."""
    server = Server()

    def configure(text):
        secret = server.dir / 'password'
        secret.write_text(f'{password}\n')
        secret.chmod(0o600)
        body = ''.join(f'    {line}\n' for line in lines).replace('PASSWORD_FILE', str(secret))
        return text + (f'\nroute "far" {{\n    to = "{to}"\n    via = hosts\n'
                       f'    hosts = [ "{host}:{port}" ]\n{body}}}\n')

    server.config = configure
    server.settings = {
        'resolver.local_records': records(f'{host}. A 127.0.0.1'),
        'outbound.private_networks': '[ "127.0.0.0/8" ]',
        'smtp.relay_networks': '[ "127.0.0.0/8" ]',
        'queue.retry': '[ "1h" ]',
    }
    if trusts:
        server.settings['tls.ca_file'] = f'"{trusts}"'
    return server


def submit(server, recipients, sender='taro@example.jp', letter=LETTER, mail='', rcpt=''):
    """Puts a letter into the queue; the id it was accepted as."""
    with Session(server.port) as session:
        session.reply()
        session.send(b'EHLO client.example\r\n')
        session.reply()
        session.send(f'MAIL FROM:<{sender}> BODY=8BITMIME{mail}\r\n'.encode())
        assert session.reply().startswith('250'), 'MAIL'
        for recipient in [recipients] if isinstance(recipients, str) else recipients:
            session.send(f'RCPT TO:<{recipient}>{rcpt}\r\n'.encode())
            assert session.reply().startswith('250'), recipient
        session.send(b'DATA\r\n')
        session.reply()
        stuffed = re.sub(r'^\.', '..', letter, flags=re.MULTILINE)
        session.send(stuffed.encode() + b'.\r\n')
        reply = session.reply()
        assert reply.startswith('250'), reply
        return reply.split()[-1]


def first_attempt(server, recipient='hanako@osaka.example', **more):
    """Submits a letter; what the trace says of the first attempt to deliver it."""
    message = submit(server, [recipient], **more)
    ends = ('deferred', 'relayed', 'failed')
    found = []

    def ended():
        found[:] = [e for e in server.cli_json('trace', message) if e['event'] in ends]
        return found
    until(ended, 30, 'an attempt')
    return {**found[0], **found[0]['details']}


def attempts(server, message):
    """How many attempts the trace of a message tells of."""
    events = server.cli_json('trace', message)
    return sum(e['event'] in ('deferred', 'relayed', 'failed') for e in events)


def queue_is_empty(server):
    """Whether nothing waits any more."""
    return server.cli_json('status')['queued_messages'] == 0
