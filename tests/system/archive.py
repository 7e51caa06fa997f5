# SPDX-License-Identifier: MIT
"""A server of archived captures: plain HTTP with ranges, and S3 whose signatures it checks; it can lie in many ways.

The signature is computed here from what AWS says of it (Signature Version 4), with Python's hashlib and hmac: nothing of
flowcarve's is used."""
import email.utils, functools, hashlib, hmac, http.server, os, re, ssl, threading, time, urllib.parse

import support

KEY, SECRET, TOKEN, REGION = 'AKIDTESTTESTTEST', 'secret/of+the=tests', 'token/of+a/session==', 'eu-central-1'


def sign(secret, region, when, method, path, headers, names):
    """The signature of a request without query and body, in hexadecimal."""
    lines = [method, path, ''] + ['%s:%s' % (name, ' '.join(headers[name].split())) for name in names]
    request = '\n'.join(lines + ['', ';'.join(names), hashlib.sha256(b'').hexdigest()])
    scope = '/'.join((when[:8], region, 's3', 'aws4_request'))
    text = '\n'.join(('AWS4-HMAC-SHA256', when, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = b'AWS4' + secret.encode()
    for part in (when[:8], region, 's3', 'aws4_request'):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


@functools.lru_cache(4)
def content(path, salt, *state):
    """What a file has while its state is this one, and its tag."""
    data = support.read_bytes(path)
    return data, '"%s"' % hashlib.md5(data + salt).hexdigest()


class Request:
    def __init__(self, path, span, sent, status, headers):
        self.path, self.span, self.sent, self.status, self.headers = path, span, sent, status, headers

    def __repr__(self):
        return '%s %s %d: %d bytes' % (self.path, self.span, self.status, self.sent)


class Handler(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # an answer goes out in pieces
    protocol_version = 'HTTP/1.1'

    def log_message(self, *words):
        pass

    def answer(self, status, body=b'', **headers):
        archive = self.server.archive
        with archive.lock:  # before whoever asks can go on
            archive.requests.append(Request(self.path, self.headers.get('Range', ''), len(body), status, dict(self.headers)))
        self.send_response(status)
        headers.setdefault('Content_Length', str(len(body)))
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError: # it was not wanted
            self.close_connection = True

    def refuse_signature(self):
        """What is wrong with the signature, or None."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        found = re.fullmatch(r'AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?'
                             r'Signature=([0-9a-f]{64})', headers.get('authorization', ''))
        if not found:
            return 'AccessDenied'
        key, day, region, names, signature = found.groups()
        names, when = names.split(';'), headers.get('x-amz-date', '')
        if key != KEY or region != REGION or when[:8] != day or headers.get('x-amz-security-token') != self.server.archive.token:
            return 'InvalidAccessKeyId'
        age = time.time() - time.mktime(time.strptime(when, '%Y%m%dT%H%M%SZ')) + time.timezone
        if abs(age) > 900:
            return 'RequestTimeTooSkewed'
        must = {'host', 'range'} | {name for name in headers if name.startswith('x-amz-')}
        if names != sorted(names) or not must <= set(names):
            return 'AccessDenied'
        right = sign(SECRET, region, when, 'GET', self.path, headers, names)
        return None if hmac.compare_digest(right, signature) else 'SignatureDoesNotMatch'

    def do_GET(self):
        archive = self.server.archive
        with archive.lock:
            archive.count += 1
            number = archive.count
        self.serve(archive, archive.lie(number) if callable(archive.lie) else archive.lie, self.headers.get('Range', ''))

    def serve(self, archive, lie, span):
        if isinstance(lie, int):
            return lie, self.answer(lie, b'<Error><Code>SlowDown</Code></Error>')
        if isinstance(lie, str) and lie.startswith('to '):
            return self.answer(302, Location=lie[3:])
        if lie == 'hang':
            archive.ended.wait(20)
            self.close_connection = True
            return None
        if archive.s3:
            wrong = self.refuse_signature()
            if wrong:
                return self.answer(403, ('<?xml version="1.0"?><Error><Code>%s</Code></Error>' % wrong).encode())
        path = os.path.join(archive.root, os.fsdecode(urllib.parse.unquote_to_bytes(self.path)).lstrip('/'))
        if not os.path.isfile(path):
            return self.answer(404, b'<Error><Code>NoSuchKey</Code></Error>')
        st = os.stat(path)
        data, tag = content(path, archive.salt, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
        tag = None if archive.tagless else tag
        wanted = self.headers.get('If-Match')
        if wanted and wanted != tag and not archive.blind:
            return self.answer(412)
        more = {'ETag': tag, 'Last_Modified': email.utils.formatdate(int(st.st_mtime), usegmt=True)}
        found = re.fullmatch(r'bytes=(\d+)-(\d+)', span)
        if not found or lie == 'no ranges':
            return self.answer(200, data, **more)
        first, last = int(found[1]), min(int(found[2]), len(data) - 1)
        if first >= len(data):
            return self.answer(416, Content_Range='bytes */%d' % len(data), **more)
        body, said = data[first:last + 1], 'bytes %d-%d/%d' % (first, last, len(data))
        if lie == 'other range':
            said = 'bytes %d-%d/%d' % (first + 1, last + 1, len(data) + 1)
        if lie == 'no content range':
            said = None
        if lie == 'long':
            body += b'x' * 70000
        if lie == 'short':
            self.close_connection = True
            return self.answer(206, body[:-1], Content_Range=said, Content_Length=str(len(body)), **more)
        if lie == 'trailer':
            chunks = b'%x\r\n%s\r\n0\r\n%s\r\n' % (len(body), body, b'X: %s\r\n' % (b'x' * 100) * 20000)
            return self.answer(206, chunks, Content_Range=said, Content_Length=None, Transfer_Encoding='chunked', **more)
        return self.answer(206, body, Content_Range=said, **more)


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client):
        pass  # clients leave


class Archive:
    """Serves the files of a folder while `with` lasts."""

    def __init__(self, root, s3=False, tls=None):
        self.root, self.s3, self.token = root, s3, None
        self.lie = None  # what a request gets, or a function of its number from 1
        self.salt, self.blind, self.tagless = b'', False, False  # of ETags; without looking at If-Match; without any
        self.lock, self.count, self.requests, self.ended = threading.Lock(), 0, [], threading.Event()
        self.server = Listener(('127.0.0.1', 0), Handler)
        self.server.archive = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = '%s://127.0.0.1:%d' % ('https' if tls else 'http', self.server.server_port)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': .02})

    def environment(self, **more):
        env = dict.fromkeys(('CURL_CA_BUNDLE', 'SSL_CERT_FILE', 'AWS_SESSION_TOKEN', 'AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'), '')
        env['no_proxy'] = '*'
        if self.s3:
            env.update(AWS_ENDPOINT_URL=self.url, AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION=REGION)
        if self.token:
            env.update(AWS_SESSION_TOKEN=self.token)
        env.update(more)
        return env

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *words):
        self.ended.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def forget(self):
        with self.lock:
            self.requests, self.count = [], 0

    @property
    def sent(self):
        return sum(r.sent for r in self.requests)
