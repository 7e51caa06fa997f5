# SPDX-License-Identifier: MIT
"""A running `flowcarve serve`, and a client of it: Python's own, so that what is sent is what a test says."""
import http.client, json, os, socket, subprocess, urllib.parse

import support

TOKEN = 'm' * 40  # of the file of tokens: both scopes
METADATA = 'n' * 40  # metadata alone
PACKETS = 'p' * 40


class Server:
    """Until `with` ends; then it has ended by SIGTERM with exit status 0, and has said nothing that it should not."""

    def __init__(self, case, db, *words, tls=None, env=None, listen='127.0.0.1:0'):
        self.case = case
        tokens = case.path('tokens')
        support.write(tokens, ('# tokens\nall metadata,packets %s\nmeta metadata %s\npack packets %s\n'
                               % (TOKEN, METADATA, PACKETS)).encode())
        os.chmod(tokens, 0o600)
        self.errors = open(case.path('serve.err'), 'ab+')
        self.process = subprocess.Popen([support.FLOWCARVE, 'serve', *(['-d', db] if db else []), '-l', listen, '--tokens', tokens, *words],
                                        stdout=subprocess.PIPE, stderr=self.errors, cwd=case.folder,
                                        env=support.environment(**(env or {})))
        self.url = self.process.stdout.readline().decode().strip()
        if not self.url:
            self.process.wait()
            raise AssertionError('it does not start: ' + self.said())
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port, self.once = parts.hostname, parts.port, parts.fragment.split('=', 1)[1]
        self.tls = tls

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.stop(0 if kind is None else None)

    def said(self):
        return support.read_bytes(self.errors.name).decode('utf-8', 'replace')

    def stop(self, status=0):
        if self.process.returncode is None:
            self.process.terminate()
            try:
                self.process.wait(support.SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError('it does not end')
        self.process.stdout.close()
        self.errors.close()
        said = self.said()
        if 'Sanitizer' in said or 'runtime error:' in said:
            raise AssertionError('sanitizer: ' + said[-4000:])
        if status is not None:
            self.case.assertEqual(self.process.returncode, status, said[-2000:])

    def connect(self, timeout=60):
        if self.tls:
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def ask(self, target, method='GET', token=TOKEN, headers=None, body=None, connection=None):
        """(status, headers, body)"""
        c = connection or self.connect()
        c.request(method, target, body=body,
                  headers={**({'Authorization': 'Bearer ' + token} if token else {}), **(headers or {})})
        r = c.getresponse()
        data = r.read()
        if not connection:
            c.close()
        return r.status, r.headers, data

    def get(self, path, ok=200, token=TOKEN, connection=None, **params):
        """The answer's JSON."""
        status, headers, data = self.ask(target(path, **params), token=token, connection=connection)
        self.case.assertEqual(status, ok, '%s %s: %s' % (path, params, data[:600]))
        self.case.assertTrue(headers['Content-Type'].startswith('application/json'), headers['Content-Type'])
        return json.loads(data)

    def error(self, path, ok, code, **params):
        e = self.get(path, ok=ok, **params)['error']
        self.case.assertEqual(e['code'], code, e)
        return e

    def raw(self, path, ok=200, **params):
        status, headers, data = self.ask(target(path, **params))
        self.case.assertEqual(status, ok, data[:600])
        return data

    def socket(self, timeout=30):
        return socket.create_connection((self.host, self.port), timeout)

    def send(self, data, timeout=1):
        """What comes back for these bytes, until the server closes or has no more to say."""
        s = self.socket(timeout)
        try:
            s.sendall(data)
            return receive(s)
        except (ConnectionResetError, BrokenPipeError):
            return b''
        finally:
            s.close()


def target(path, **params):
    query = urllib.parse.urlencode({k: {True: 'true', False: 'false'}.get(v, v) if isinstance(v, bool) else v
                                    for k, v in params.items()})
    return path + ('?' + query if query else '')


def receive(s):
    parts = []
    while True:
        try:
            data = s.recv(65536)
        except (ConnectionResetError, BrokenPipeError, TimeoutError):
            break
        if not data:
            break
        parts.append(data)
    return b''.join(parts)
