// SPDX-License-Identifier: MIT
// Plots over time, by uPlot: the histogram, and whatever else has a time on its x axis. x is in ns behind an origin, which is
// a BigInt, so that 1 ns is told apart from the next today, and 10 years fit.
import {
    html, useRef, useLayoutEffect, url, go, server, isoOf, nsOf, timeOf, offsetOf, duration, bytes, short, number,
    css, colour, zone
} from './core.js';

const S = 1e9, DAY = 86400 * S;
const STEPS = [];
for (let e = 1; e < S; e *= 10) STEPS.push(e, 2 * e, 5 * e);
STEPS.push(...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].map((s) => s * S), DAY, 2 * DAY, 7 * DAY, 14 * DAY);
const COUNTS = [...Array(16).keys()].flatMap((e) => [10 ** e, 2 * 10 ** e, 5 * 10 ** e]); // no halves of a session
const MONTHS = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200];

// Places of labels between two times, about `room` of them: [ns], and what of a time differs from one to the next
function ticks(from, until, room) {
    const span = Number(until - from);
    const step = STEPS.find((s) => span / s <= room);
    const out = [];
    if (step) {
        const shift = offsetOf(from), s = BigInt(step);
        const end = until + (step < 3600 * S ? 0n : 7200n * 1000000000n); // the zone may change its offset on the way
        for (let local = ((from + shift) / s) * s; local - shift <= end; local += s) {
            const t = local - (step < 3600 * S ? shift : offsetOf(local - shift));
            if (t >= from && t <= until) out.push(t);
        }
        return { out, step };
    }
    const months = MONTHS.find((m) => span / (m * 30.4 * DAY) <= room) || 2400;
    const date = new Date(Number(from / 1000000n));
    for (let y = date.getUTCFullYear(), m = Math.floor(date.getUTCMonth() / months) * months; out.length < 100; m += months) {
        const local = BigInt(Date.UTC(y, m)) * 1000000n;
        const t = local - offsetOf(local);
        if (t > until) break;
        if (t >= from) out.push(t);
    }
    return { out, step: months * 30 * DAY };
}
function label(ns, step, first) {
    const [day, time] = timeOf(ns, 9).split(' ');
    if (step > 300 * DAY) return day.slice(0, 4);
    if (step > 27 * DAY) return day.slice(0, 7);
    if (step >= DAY) return day;
    const digits = step >= S ? 0 : Math.ceil(9 - Math.log10(step) - 1e-9);
    const text = step >= 60 * S ? time.slice(0, 5) : digits ? time.slice(0, 9 + digits) : time.slice(0, 8);
    return first || time.startsWith('00:00:00.000000000') ? `${text}\n${day}` : text;
}
const axis = () => ({ stroke: css('--dim'), font: '11px system-ui, sans-serif', ticks: { show: true, stroke: css('--line'), size: 4, width: 1 }, grid: { stroke: css('--grid'), width: 1 } });

// Options that all of our plots have. origin: BigInt, ns. plot.relative: x is told as a length behind the origin.
export function options(width, height, origin, yText, relative) {
    let step = 1;
    return {
        width, height, pxAlign: 1, legend: { show: false }, padding: [6, 14, 0, 0],
        cursor: { drag: { setScale: false, x: false, y: false }, points: { show: false }, y: false },
        axes: [
            { ...axis(), size: relative ? 26 : 36, gap: 3, space: 95,
              splits: relative ? undefined : (u, i, min, max) => {
                  const t = ticks(origin + BigInt(Math.floor(min)), origin + BigInt(Math.ceil(max)), Math.max(2, u.bbox.width / devicePixelRatio / 95));
                  step = t.step;
                  return t.out.map((ns) => Number(ns - origin));
              },
              values: (u, at) => at.map((x, i) => (relative ? duration(x / 1e9) : label(origin + BigInt(x), step, i === 0))) },
            { ...axis(), size: 58, gap: 4, space: 22, incrs: COUNTS, values: (u, at) => at.map((y) => (y === null ? '' : yText(y).replace(/\.0+(?!\d)/, ''))) },
        ],
    };
}
// A plot that lives as long as its element; `make(width, height)` gives {opts, data} again when something of `deps` changes.
export function Plot({ make, deps, label, height, children, ...rest }) {
    const box = useRef();
    useLayoutEffect(() => {
        let plot, width;
        const draw = () => {
            width = box.current.clientWidth;
            const made = width > 60 && make(width, height);
            plot?.destroy();
            plot = made && new uPlot(made.opts, made.data, box.current);
            made?.ready?.(plot);
        };
        draw();
        const watch = new ResizeObserver(() => box.current && box.current.clientWidth !== width && draw());
        watch.observe(box.current);
        const dark = matchMedia('(prefers-color-scheme: dark)');
        dark.addEventListener('change', draw);
        addEventListener('theme', draw);
        return () => (watch.disconnect(), dark.removeEventListener('change', draw), removeEventListener('theme', draw), plot?.destroy());
    }, deps);
    return html`<div class="plot" style=${{ height: height + 'px' }} ref=${box} role="img" aria-label=${label} ...${rest}></div>`;
}

// --- the histogram ---
const BYS = ['none', 'proto', 'state'], OF = ['sessions', 'packets', 'bytes'];
const total = (list) => list.reduce((sum, n) => sum + n, 0);
export const shownRange = (data) => {
    if (!data) return null;
    const length = BigInt(data.bucket_ns), start = nsOf(data.start);
    const from = nsOf(url.from) ?? start, until = nsOf(url.until) ?? (start === null ? null : start + length * BigInt(data.count));
    return from === null || until === null || until <= from ? null : { from, until };
};
export function zoom(data, by, centre = 0.5, replace = false) {
    const shown = shownRange(data);
    if (!shown) return;
    const span = shown.until - shown.from;
    const next = BigInt(Math.max(1000, Math.round(Number(span) * by)));
    const from = shown.from + BigInt(Math.round(Number(span - next) * centre));
    if (next < 36525n * 86400n * 1000000000n) go({ from: isoOf(from), until: isoOf(from + next), sel: undefined }, replace);
}
export function pan(data, by) {
    const shown = shownRange(data);
    if (!shown) return;
    const step = BigInt(Math.round(Number(shown.until - shown.from) * by));
    go({ from: isoOf(shown.from + step), until: isoOf(shown.until + step), sel: undefined }, true);
}

export function Histogram({ answer, by, height }) {
    const { data, busy, error } = answer;
    const tip = useRef();
    const y = OF.includes(url.y) ? url.y : 'sessions';
    const yText = y === 'bytes' ? bytes : short;
    const shown = shownRange(data);
    const wheel = useRef(0);

    const make = (width, tall) => {
        if (!shown) return null;
        const origin = shown.from, start = Number(nsOf(data.start) - origin) || 0, step = data.bucket_ns;
        const x = Array.from({ length: data.count }, (_, i) => start + i * step);
        // stacked: each group stands on the sum of those before it
        const tops = data.groups.map(() => []);
        for (let i = 0; i < data.count; i++) {
            let sum = 0;
            data.groups.forEach((group, g) => (tops[g][i] = sum += group[y][i]));
        }
        const last = Number(shown.until - shown.from), high = Math.max(1, ...(tops.at(-1) || []));
        const opts = options(width, tall, origin, yText);
        const ours = () => null;
        opts.cursor.bind = { mousedown: ours, mouseup: ours, dblclick: ours };
        opts.scales = { x: { time: false, range: () => [0, last] }, y: { range: () => [0, high * 1.05] } };
        opts.series = [{}, ...tops.map(() => ({ paths: () => null, points: { show: false } }))];
        opts.hooks = { draw: [(u) => bars(u, x, step, tops, data.groups)], setCursor: [(u) => point(u, x, step)] };
        return { opts, data: [x.length ? x : [0], ...tops.map((t) => (t.length ? t : [null]))], ready: (u) => gestures(u, x, step, last) };
    };
    function bars(u, x, step, tops, groups) {
        const { left, top, width, height: tall } = u.bbox;
        u.ctx.save();
        u.ctx.beginPath();
        u.ctx.rect(left, top, width, tall);
        u.ctx.clip();
        groups.forEach((group, g) => {
            u.ctx.fillStyle = css(colour(group.name, g));
            x.forEach((at, i) => {
                if (!group[y][i]) return;
                const a = u.valToPos(at, 'x', true), b = u.valToPos(at + step, 'x', true);
                const high = u.valToPos(tops[g][i], 'y', true), low = g ? u.valToPos(tops[g - 1][i], 'y', true) : top + tall;
                const gap = b - a > 4 * devicePixelRatio ? devicePixelRatio : 0;
                u.ctx.fillRect(a, Math.min(high, low - 1), Math.max(b - a - gap, 2), Math.max(low - high, 1));
            });
        });
        u.ctx.restore();
    }
    function point(u, x, step) {
        const box = tip.current;
        if (!box) return;
        const i = Math.floor((u.posToVal(u.cursor.left, 'x') - (x[0] ?? 0)) / step);
        const here = u.cursor.left >= 0 && data.groups.filter((group) => group[y][i]);
        box.hidden = !here || (!here.length && u.select.width < 3);
        if (box.hidden) return;
        const at = u.select.width > 2
            ? [u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')]
            : [x[i], x[i] + step];
        const digits = step >= S ? 0 : Math.min(9, Math.ceil(9 - Math.log10(step) - 1e-9));
        const begin = shown.from + BigInt(Math.round(at[0]));
        const lines = [`${timeOf(begin, digits)}  + ${duration((at[1] - at[0]) / 1e9)}`];
        if (u.select.width <= 2) for (const group of here) lines.push(`${group.name}  ${y === 'bytes' ? bytes(group.bytes[i]) : number(group[y][i])}`);
        box.textContent = lines.join('\n');
        const left = u.cursor.left + u.over.offsetLeft;
        box.style.left = Math.max(4, Math.min(left + 12, u.width - box.offsetWidth - 4)) + 'px';
    }
    // Drag with mouse, pen or finger; a range snaps to whole bars where bars are wide enough to aim at
    function gestures(u, x, step, last) {
        const over = u.over;
        let from = null;
        const place = (event) => Math.max(0, Math.min(over.clientWidth, event.clientX - over.getBoundingClientRect().left));
        const ends = (a, b) => {
            let [low, high] = [u.posToVal(Math.min(a, b), 'x'), u.posToVal(Math.max(a, b), 'x')];
            if (x.length && (step / last) * over.clientWidth >= 3) {
                low = Math.max(0, x[0] + Math.floor((low - x[0]) / step) * step);
                high = Math.min(last, x[0] + Math.ceil((high - x[0]) / step) * step);
            }
            return [low, high];
        };
        const show = (a, b) => {
            const [low, high] = ends(a, b).map((v) => u.valToPos(v, 'x'));
            u.setSelect({ left: low, width: high - low, top: 0, height: over.clientHeight }, false);
        };
        over.addEventListener('pointerdown', (event) => {
            if (event.button) return;
            from = place(event);
            over.setPointerCapture(event.pointerId);
        });
        over.addEventListener('pointermove', (event) => from !== null && Math.abs(place(event) - from) > 3 && show(from, place(event)));
        over.addEventListener('pointerup', (event) => {
            const a = from, b = place(event);
            from = null;
            u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            if (a === null || Math.abs(b - a) <= 3) return;
            const [low, high] = ends(a, b);
            const begin = shown.from + BigInt(Math.round(low)), end = shown.from + BigInt(Math.round(high)) - 1n;
            if (end - begin >= 100n) go({ from: isoOf(begin), until: isoOf(end), sel: undefined });
        });
        over.addEventListener('pointercancel', () => ((from = null), u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false)));
        over.addEventListener('dblclick', () => go({ from: undefined, until: undefined }));
        over.addEventListener('wheel', (event) => {
            event.preventDefault();
            const now = Date.now();
            const same = now - wheel.current < 700;
            if (now - wheel.current < 60) return;
            wheel.current = now;
            if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(data, Math.sign(event.deltaX || event.deltaY) * 0.15);
            else zoom(data, event.deltaY < 0 ? 0.6 : 1 / 0.6, place(event) / over.clientWidth, same);
        }, { passive: false });
    }
    const sums = data?.groups?.map((group) => total(group[y])) || [];
    const words = data?.count ? `Histogram: ${data.groups.map((g, i) => `${g.name} ${yText(sums[i])}`).join(', ')}, in bars of ${duration(data.bucket_ns / 1e9)}` : 'Histogram: nothing';
    const set = (key) => (event) => go({ [key]: event.target.value }, true);
    const large = server.status?.index.sessions > 500000;
    return html`<section class=${busy ? 'histogram busy' : 'histogram'} aria-label="Over time" style=${{ minHeight: height + 30 + 'px' }}>
        <div class="bar">
            <select aria-label="What the bars count" value=${y}
                onChange=${set('y')}>${OF.map((of) => html`<option value=${of}>${of}</option>`)}</select>
            <label>by <select aria-label="Stack by" value=${by}
                onChange=${set('by')}>${BYS.map((b) => html`<option value=${b}>${b === 'none' ? 'nothing' : b === 'proto' ? 'protocol' : b}${b !== 'none' && large ? ' (reads sessions)' : ''}</option>`)}</select></label>
            <div class="legend">${data?.groups?.map((group, i) => html`<span key=${group.name}>
                <i style=${{ background: `var(${colour(group.name, i)})` }}></i>${group.name} <b>${yText(sums[i])}</b></span>`)}
                ${data?.earlier?.sessions > 0 && html`<span title="They are in the table, but not in the bars">${number(data.earlier.sessions)} began earlier</span>`}
                ${data?.timeless?.sessions > 0 && html`<span>${number(data.timeless.sessions)} without a time</span>`}
                ${data && !data.exact && html`<span title="From the sums of each 4096 sessions, which is much faster">≈ from sums</span>`}</div>
            <span class="dim">${data?.count > 1 ? `bars of ${duration(data.bucket_ns / 1e9)} · ${zone()}` : zone()}</span>
        </div>
        ${error ? html`<p class="empty">${error.code === 'filter' ? '' : error.message}</p>` : data && !shown ? html`<p class="empty">nothing to draw</p>`
        : html`<${Plot} make=${make} deps=${[data, y, zone(), url.from, url.until]} label=${words} height=${height} />`}
        <pre class="tip" ref=${tip} hidden></pre>
    </section>`;
}
