#!/usr/bin/python3
"""A stand-in for client_drive, with which the runner of client scenarios is tested: the text of the
message is what it does. `send LINE`, `raw TEXT`, `read` (something has to come), `end` (the server
closes), `close`, `print LINE`, `fail` (ends with status 3); a semicolon ends each."""
import socket
import sys


def main():
    head, _, text = sys.stdin.read().partition('\n\n')
    port = next(line.split()[1] for line in head.split('\n') if line.startswith('port '))
    peer = socket.create_connection(('127.0.0.1', int(port)), 10)
    for step in text.split(';'):
        verb, _, rest = step.lstrip(' \n').partition(' ')
        if verb == 'send':
            peer.sendall(rest.encode() + b'\r\n')
        elif verb == 'raw':
            peer.sendall(rest.encode())
        elif verb == 'read':
            assert peer.recv(65536)
        elif verb == 'end':
            assert not peer.recv(65536)
        elif verb == 'close':
            peer.close()
        elif verb == 'print':
            print(rest)
        elif verb == 'fail':
            return 3
    return 0


if __name__ == '__main__':
    sys.exit(main())
