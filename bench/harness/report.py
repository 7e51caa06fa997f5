# SPDX-License-Identifier: MIT
"""The table and the raw figures, written again after every workload."""
import csv
import os


class Row:
    """workload, what, ours, peer, in one unit: s, MB, B, instructions, ns, times. peer None: none."""

    def __init__(self, workload, what, ours, unit="s", peer_name="", peer=None, fsync=None, note=""):
        self.workload, self.what, self.ours, self.unit = workload, what, ours, unit
        self.peer_name, self.peer, self.fsync, self.note = peer_name, peer, fsync, note


def figure(value, unit):
    if value is None:
        return ""
    if unit == "s":
        return "%.4f s" % value if value < 0.1 else "%.3f s" % value
    if unit == "MB":
        return "%.0f MB" % value if value >= 10 else "%.1f MB" % value
    if unit == "times":
        return "%.2f" % value
    return "%s %s" % ("%.0f" % value if value >= 1000 else "%.1f" % value, unit)


def ratio(ours, peer):
    if peer is None or not peer or not ours:
        return ""
    r = ours / peer
    return "%.2f" % r if r >= 0.095 else "1/%.0f" % (1 / r)


class Report:
    def __init__(self, folder, machine, args):
        self.folder = folder
        self.machine = machine
        self.args = args
        self.rows = []
        self.raw = []    # one row a run
        self.micro = []  # suite, what, figure, unit, note
        self.notes = []

    def row(self, *a, **k):
        self.rows.append(Row(*a, **k))

    def run(self, workload, command, number, r):
        self.raw.append([workload, command, number, "%.6f" % r.wall, "%.3f" % r.cpu, "%.1f" % r.rss, "%.6f" % r.fsync, "", ""])

    def value(self, workload, what, value, unit):
        self.raw.append([workload, what, 0, "", "", "", "", "%.3f" % value, unit])

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def flags(self):
        return "scale %g, median of %d runs, page cache warm unless it says cold" % (self.args.scale, self.args.runs)

    def text(self):
        lines = ["# Figures of the last run of `./dev bench`", "", "%s." % self.machine, "", "%s. What each row means and how it"
                 " is checked: [docs/bench.md](../../docs/bench.md)." % self.flags().capitalize(), ""]
        if self.rows:
            lines += ["| workload | what | flowcarve | fsync besides | peer | peer's | ours / peer | |",
                      "|---|---|---|---|---|---|---|---|"]
        for r in self.rows:
            lines.append("| %s | %s | %s | %s | %s | %s | %s | %s |" % (
                r.workload, r.what, figure(r.ours, r.unit), figure(r.fsync, "s"), r.peer_name, figure(r.peer, r.unit),
                ratio(r.ours, r.peer), r.note))
        if self.micro:
            lines += ["", "## Parts alone", "", "| part | what | figure | |", "|---|---|---|---|"]
            for suite, what, value, unit, note in self.micro:
                lines.append("| %s | %s | %.1f %s | %s |" % (suite, what, value, unit, note))
        if self.notes:
            lines += ["", "## Notes", ""] + ["- %s" % n for n in self.notes]
        return "\n".join(lines) + "\n"

    def write(self):
        """To files beside the old ones, renamed when they are complete."""
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, "latest.csv")
        with open(path + ".new", "w", newline="") as f:
            f.write("# %s; %s\n" % (self.machine, self.flags()))
            w = csv.writer(f, lineterminator="\n")
            w.writerow(["workload", "command", "run", "wall_s", "cpu_s", "peak_mb", "fsync_s", "value", "unit"])
            w.writerows(self.raw)
        os.replace(path + ".new", path)
        path = os.path.join(self.folder, "latest.md")
        with open(path + ".new", "w") as f:
            f.write(self.text())
        os.replace(path + ".new", path)
