# SPDX-License-Identifier: MIT
"""Questions to an engine that many sensors share, against the index that was exported and PostgreSQL with the same columns."""
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time

from .capture import PORTS, Wrong
from .process import Run

POSTGRES = "/usr/lib/postgresql/15/bin"
COLUMNS = ("id bigint, start_ns bigint, end_ns bigint, proto bigint, kind smallint, client inet, client_port integer, server inet, server_port integer, "
           "client_packets bigint, server_packets bigint, client_bytes bigint, server_bytes bigint, state smallint, flags integer")
# IPv4 as text; what has no IP address has none here
ADDRESS = "CASE kind WHEN 4 THEN (%s >> 24) || '.' || (%s >> 16 & 255) || '.' || (%s >> 8 & 255) || '.' || (%s & 255) END"
ROWS = ("SELECT id, start_ns, start_ns + duration_ns, proto, kind, " + ADDRESS % (("client_addr",) * 4) + ", client_port, "
        + ADDRESS % (("server_addr",) * 4) + ", server_port, client_packets, server_packets, client_bytes, server_bytes, state, flags FROM session")
INDEXES = ("client", "server", "start_ns", "server_port", "client_port")


class Postgres:
    """A server of Debian's package on a local socket, in a folder of its own; not as root, which it refuses."""

    def __init__(self, beside):
        self.folder = folder = tempfile.mkdtemp(prefix="postgres-", dir=beside)
        self.data = os.path.join(folder, "data")
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        if self.user:
            shutil.chown(folder, "postgres", "postgres")
        self.call("initdb", "-D", self.data, "-A", "trust", "-U", "bench", "--no-sync")
        self.call("pg_ctl", "-D", self.data, "-w", "-l", os.path.join(folder, "log"), "-o",
                  "-c listen_addresses='' -c unix_socket_directories=%s -c shared_buffers=256MB -c maintenance_work_mem=256MB" % folder, "start")

    def call(self, program, *words):
        r = subprocess.run([*self.user, os.path.join(POSTGRES, program), *words], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if r.returncode:
            raise Wrong("cluster: %s: %s" % (program, r.stderr.decode(errors="replace")[-500:]))

    def words(self, sql):
        return [os.path.join(POSTGRES, "psql"), "-h", self.folder, "-U", "bench", "-d", "postgres", "-qAtc", sql]

    def ask(self, sql):
        return subprocess.run(self.words(sql), check=True, stdout=subprocess.PIPE).stdout.decode().strip()

    def load(self, db):
        """Seconds to copy the rows, and to make the indexes; bytes of the table, and of the indexes."""
        self.ask("CREATE TABLE session (%s)" % COLUMNS)
        start = time.perf_counter()
        copy = subprocess.Popen(self.words("COPY session FROM STDIN (FORMAT csv)"), stdin=subprocess.PIPE)
        with sqlite3.connect("file:%s?mode=ro" % db, uri=True) as c:
            for row in c.execute(ROWS):
                copy.stdin.write((",".join("" if v is None else str(v) for v in row) + "\n").encode())
        copy.stdin.close()
        if copy.wait():
            raise Wrong("cluster: PostgreSQL has taken no rows")
        copied = time.perf_counter()
        for column in INDEXES:
            self.ask("CREATE INDEX ON session (%s)" % column)
        self.ask("VACUUM ANALYZE session")
        made = time.perf_counter()
        return copied - start, made - copied, int(self.ask("SELECT pg_table_size('session')")), int(self.ask("SELECT pg_indexes_size('session')"))

    def close(self):
        subprocess.run([*self.user, os.path.join(POSTGRES, "pg_ctl"), "-D", self.data, "-m", "immediate", "stop"], cwd="/", stdout=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)


def questions_of(db):
    """What is asked: filter or words of top, SQL of PostgreSQL, and how many sessions there must be."""
    with sqlite3.connect("file:%s?mode=ro" % db, uri=True) as c:
        count, first, last = c.execute("SELECT count(*), min(start_ns), max(start_ns) FROM session").fetchone()
        host, text = c.execute("SELECT client_addr, %s FROM session WHERE kind = 4 AND id = %d" % (ADDRESS % (("client_addr",) * 4), count // 3)).fetchone() or \
            c.execute("SELECT client_addr, %s FROM session WHERE kind = 4 LIMIT 1" % (ADDRESS % (("client_addr",) * 4))).fetchone()
        of_host = c.execute("SELECT count(*) FROM session WHERE kind = 4 AND (client_addr = ?1 OR server_addr = ?1)", (host,)).fetchone()[0]
        begin = first + (last - first) // 3
        end = begin + min(2 * 3600 * 10**9, (last - first) // 10)
        of_port = c.execute("SELECT count(*) FROM session WHERE (client_port = 443 OR server_port = 443) AND " + PORTS
                            + " AND start_ns + duration_ns >= ? AND start_ns < ?", (begin, end)).fetchone()[0]
    window = "after %d.%09d and before %d.%09d" % (*divmod(begin, 10**9), *divmod(end, 10**9))
    ports = "(client_port = 443 OR server_port = 443) AND proto IN (6, 17, 132) AND end_ns >= %d AND start_ns < %d" % (begin, end)
    top = ("SELECT a, count(*), sum(b) AS s FROM (SELECT client AS a, client_bytes + server_bytes AS b FROM session UNION ALL "
           "SELECT server, client_bytes + server_bytes FROM session WHERE server <> client) x GROUP BY a ORDER BY s DESC LIMIT 20")
    return {"sessions of a host": (["query", "host " + text], "SELECT * FROM session WHERE client = '%s' OR server = '%s' ORDER BY id" % (text, text), of_host),
            "sessions of a port in a tenth of the time": (["query", "port 443 and " + window], "SELECT * FROM session WHERE %s ORDER BY id" % ports, of_port),
            "top by host": (["top", "--by", "host", "--columns", "sessions,bytes", "-n", "20"], top, 20),
            "all added up": (["top", "--by", "protocol", "--columns", "sessions,bytes"],
                             "SELECT proto, count(*), sum(client_bytes + server_bytes) FROM session GROUP BY proto", None)}


def lines_of(path, header):
    with open(path, "rb") as f:
        return sum(1 for _ in f) - header


def asked(bench, name, what, url, db):
    """url: of the engine with its database, to which all of the index `db` has been exported as sensor `bench`."""
    ini, out = bench.scratch("c.ini"), bench.scratch("asked.tsv")
    with open(ini, "w") as f:
        f.write("[engine]\nurl = %s\n[sensor bench]\nurl = http://127.0.0.1:1\n" % url)
    postgres = None
    if os.path.exists(POSTGRES):
        postgres = Postgres(bench.args.dir)
    else:
        bench.report.note("postgresql-15 is not installed: nothing was compared with it")
    try:
        if postgres:
            copied, made, table, indexes = postgres.load(db)
            sessions = int(postgres.ask("SELECT count(*) FROM session"))
            bench.report.row(name, "PostgreSQL, %s sessions: a session" % what, (table + indexes) / sessions, "B",
                             note="table %.1f, indexes %.1f; copied in %.1f s, indexes made in %.1f s" % (table / sessions, indexes / sessions, copied, made))
        for question, (words, sql, count) in questions_of(db).items():
            commands = {"engine": [bench.flowcarve, words[0], "--cluster", ini, "--deadline", "300s", "--format", "tsv", *words[1:]],
                        "index": [bench.flowcarve, words[0], "-d", db, "--format", "tsv", *words[1:]]}
            if postgres:
                commands["PostgreSQL"] = postgres.words(sql)
            for who, line in commands.items():
                Run(line, stdout=out)
                if count is not None and lines_of(out, who != "PostgreSQL") != count:
                    raise Wrong("%s: %s: %s gives %d rows, not %d" % (name, question, who, lines_of(out, who != "PostgreSQL"), count))
            t = bench.times(name, {"%s, %s sessions, %s" % (question, what, who): (lambda w: lambda: Run(w, stdout=out))(line) for who, line in commands.items()},
                            runs=min(bench.args.runs, 3))
            walls = {who: t["%s, %s sessions, %s" % (question, what, who)].wall for who in commands}
            for peer in ("index", "PostgreSQL"):
                if peer in walls:
                    bench.report.row(name, "%s, %s sessions" % (question, what), walls["engine"], "s", peer, walls[peer],
                                     note="%d rows" % count if count is not None else "")
    finally:
        if postgres:
            postgres.close()
