# SPDX-License-Identifier: MIT
"""Engines for the tests of clusters: ClickHouse processes of Debian's package on loopback, and a current release as a library (npm's chdb)
behind a server of a screen, so that the same program asks both in the same way."""
import contextlib
import ctypes
import glob
import gzip
import http.server
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import support

CONFIG = """<yandex>
 <logger><level>warning</level><log>{dir}/server.log</log><errorlog>{dir}/error.log</errorlog></logger>
 <listen_host>127.0.0.1</listen_host><http_port>{http}</http_port><tcp_port>{tcp}</tcp_port>
 <path>{dir}/data/</path><tmp_path>{dir}/tmp/</tmp_path><users_config>{dir}/users.xml</users_config>
 <default_profile>default</default_profile><default_database>default</default_database>
 <mark_cache_size>100000000</mark_cache_size><max_concurrent_queries>100</max_concurrent_queries>
 <remote_servers><flowcarve>{shards}</flowcarve></remote_servers>{more}
</yandex>"""
SHARD = "<shard><internal_replication>true</internal_replication>{}</shard>"
REPLICA = "<replica><host>127.0.0.1</host><port>{}</port></replica>"
COPIES = """
 <interserver_http_host>127.0.0.1</interserver_http_host><interserver_http_port>{port}</interserver_http_port>
 <zookeeper><node><host>127.0.0.1</host><port>{zookeeper}</port></node><session_timeout_ms>2000</session_timeout_ms></zookeeper>
 <macros><shard>{shard}</shard><replica>{tcp}</replica></macros>
 <merge_tree><zookeeper_session_expiration_check_period>1</zookeeper_session_expiration_check_period></merge_tree>"""
USERS = """<yandex><profiles><default><max_memory_usage>4000000000</max_memory_usage></default></profiles>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default>
<analyst><password>sesame</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></analyst></users>
<quotas><default><interval><duration>3600</duration><queries>0</queries><errors>0</errors><result_rows>0</result_rows><read_rows>0</read_rows>
<execution_time>0</execution_time></interval></default></quotas></yandex>"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(url, sql, data=None, **params):
    """Bytes that an engine answers; raises with its words."""
    if data is not None:
        params["query"] = sql
    target = url + "/?" + urllib.parse.urlencode(params)
    try:
        with urllib.request.urlopen(target, sql.encode() if data is None else data, timeout=120) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode(errors="replace")[:2000]) from None


LIBC = ctypes.CDLL(None)


def end_with_parent():
    """A test that is killed leaves no server behind."""
    LIBC.prctl(1, signal.SIGKILL)


class Server:
    """One ClickHouse process. shards: native ports of the servers of each shard of the cluster `flowcarve`, its own among them; None: it is alone.
    zookeeper: port of the one by which those of a shard keep copies. folder: where its data are to be, and are deleted in the end; None: a
    place of its own."""

    def __init__(self, tcp=None, shards=None, folder=None, zookeeper=None):
        self.dir = folder or tempfile.mkdtemp(prefix="fc-engine-", dir=support.scratch())
        os.makedirs(self.dir, exist_ok=True)
        self.http, self.tcp = free_port(), tcp or free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        for sub in ("data", "tmp"):
            os.mkdir(f"{self.dir}/{sub}")
        shards = shards or [[self.tcp]]
        number = next(i for i, ports in enumerate(shards) if self.tcp in ports)
        more = COPIES.format(port=free_port(), zookeeper=zookeeper, shard=number, tcp=self.tcp) if zookeeper else ""
        text = "".join(SHARD.format("".join(map(REPLICA.format, ports))) for ports in shards)
        with open(f"{self.dir}/config.xml", "w") as f:
            f.write(CONFIG.format(dir=self.dir, http=self.http, tcp=self.tcp, shards=text, more=more))
        with open(f"{self.dir}/users.xml", "w") as f:
            f.write(USERS)
        self.process = None
        self.start()

    def start(self, wait=True):
        self.process = subprocess.Popen(["clickhouse-server", f"--config-file={self.dir}/config.xml"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=end_with_parent)
        if wait:
            self.wait()

    def wait(self):
        for _ in range(600):
            try:
                ask(self.url, "SELECT 1")
                return
            except (OSError, RuntimeError):
                if self.process.poll() is not None:
                    raise RuntimeError(f"clickhouse-server has ended: {open(self.dir + '/error.log').read()[-500:]}") from None
                time.sleep(0.05)
        raise RuntimeError("clickhouse-server does not answer")

    def kill(self, sig=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, sig)
            self.process.wait()

    def ask(self, sql, data=None, **params):
        return ask(self.url, sql, data, **params)

    def close(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def has_server():
    return shutil.which("clickhouse-server") is not None


def servers(count, copies=1, zookeeper=None):
    """Servers that know each other as the cluster `flowcarve`: those of the first shard, those of the second and so on."""
    shards = [[free_port() for _ in range(copies)] for _ in range(count)]
    return [Server(port, shards, zookeeper=zookeeper) for ports in shards for port in ports]


ZOOKEEPER_JAR = "/usr/share/java/zookeeper.jar"
ZOOKEEPER = """tickTime=200
dataDir={dir}/data
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
"""


def has_zookeeper():
    return os.path.exists(ZOOKEEPER_JAR) and shutil.which("java") is not None


class ZooKeeper:
    """A process of Debian's package; what it holds lies in a folder that is deleted in the end."""

    def __init__(self):
        self.dir, self.port = tempfile.mkdtemp(prefix="fc-zookeeper-", dir=support.scratch()), free_port()
        with open(f"{self.dir}/zoo.cfg", "w") as f:
            f.write(ZOOKEEPER.format(dir=self.dir, port=self.port))
        self.log = open(f"{self.dir}/log", "wb")
        self.process = subprocess.Popen(["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", ZOOKEEPER_JAR, "org.apache.zookeeper.server.ZooKeeperServerMain",
                                         f"{self.dir}/zoo.cfg"], stdout=self.log, stderr=self.log, preexec_fn=end_with_parent)

    def wait(self):
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as s:
                s.sendall(b"srvr")
                if s.recv(9) == b"Zookeeper":
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("ZooKeeper does not answer: " + support.read_bytes(self.dir + "/log").decode()[-500:])

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def library():
    """Where chdb's library is: where npm has installed it, FLOWCARVE_CLUSTER_TOOLS or build/cluster of this checkout. None: it is not there."""
    if support.sanitized():
        return None  # its answers have been compared by the other build
    tools = os.environ.get("FLOWCARVE_CLUSTER_TOOLS") or os.path.join(support.ROOT, "build/cluster")
    return next(iter(glob.glob(os.path.join(tools, "node_modules/@chdb/lib-*/libchdb.so"))), None)


class _Chdb:
    def __init__(self, folder):
        self.lib = ctypes.CDLL(library())
        self.lib.chdb_connect.restype = ctypes.POINTER(ctypes.c_void_p)
        self.lib.chdb_query_n.restype = ctypes.c_void_p
        self.lib.chdb_query_n.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
        for name, kind in (("error", ctypes.c_char_p), ("buffer", ctypes.c_void_p), ("length", ctypes.c_size_t)):
            function = getattr(self.lib, "chdb_result_" + name)
            function.restype, function.argtypes = kind, [ctypes.c_void_p]
        self.lib.chdb_destroy_query_result.argtypes = [ctypes.c_void_p]
        self.lib.chdb_close_conn.argtypes, self.lib.chdb_close_conn.restype = [ctypes.POINTER(ctypes.c_void_p)], None
        words = [b"clickhouse", f"--path={folder}".encode()]
        self.connection = self.lib.chdb_connect(len(words), (ctypes.c_char_p * len(words))(*words))
        self.lock = threading.Lock()

    def close(self):
        """Its threads end; a process that ends before them may be aborted by one."""
        with self.lock:
            self.lib.chdb_close_conn(self.connection)

    def query(self, sql):
        result = self.lib.chdb_query_n(self.connection[0], sql, len(sql), b"TabSeparated", 12)
        try:
            error = self.lib.chdb_result_error(result)
            if error:
                raise RuntimeError(error.decode(errors="replace"))
            return ctypes.string_at(self.lib.chdb_result_buffer(result), self.lib.chdb_result_length(result))
        finally:
            self.lib.chdb_destroy_query_result(result)


class _Handler(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # an answer goes out in pieces
    protocol_version = "HTTP/1.1"
    OF_HTTP = {"database", "query", "wait_end_of_query", "buffer_size", "user", "password"}

    def log_message(self, *_):
        pass

    def answer(self):
        chdb = self.server.chdb
        params = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        sql = params["query"].encode() if "query" in params else body
        settings = {k: v for k, v in params.items() if k not in self.OF_HTTP}
        status, headers = 200, {}
        with chdb.lock, tempfile.NamedTemporaryFile(prefix="fc-rows-") as rows:
            try:
                if "query" in params and body:  # in one text with the statement, what looks like the end of it would be
                    rows.write(body)
                    rows.flush()
                    into, form = sql.rsplit(b" FORMAT ", 1)
                    sql = into + f" FROM INFILE '{rows.name}' FORMAT ".encode() + form
                if "database" in params:
                    chdb.query(f"USE {params['database']}".encode())
                for name, value in settings.items():
                    chdb.query(f"SET {name} = '{value}'".encode())
                text = chdb.query(sql)
            except RuntimeError as error:
                status, text = 500, str(error).encode()
                code = text.split(b"Code: ", 1)[1].split(b".", 1)[0] if b"Code: " in text else b"0"
                headers["X-ClickHouse-Exception-Code"] = code.decode()
            finally:
                for name in settings:
                    try:
                        chdb.query(f"SET {name} = DEFAULT".encode())
                    except RuntimeError:
                        pass
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer


class Current:
    """A current release, asked as the server is; one connection, so one of it a process at a time."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="fc-current-", dir=support.scratch())
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.chdb = _Chdb(self.dir)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(.02,), daemon=True).start()

    def ask(self, sql, data=None, **params):
        return ask(self.url, sql, data, **params)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.server.chdb.close()
        shutil.rmtree(self.dir, ignore_errors=True)
