// SPDX-License-Identifier: MIT
// One session: facts and files, packets with their bytes, the stream, a plot of its course, and its neighbours.
import {
    html, useState, useEffect, useRef, useMemo, url, go, link, get, ask, query, useAnswer, number, bytes, short,
    duration, timeOf, nsOf, isoOf, zone, endpoint, hostFilter, plural, css, many, keyOf, partsOf
} from './core.js';
import { List, usePages, offered } from './table.js';
import { Plot, options } from './chart.js';

const TABS = [['packets', 'Packets'], ['stream', 'Stream'], ['course', 'Course'], ['near', 'Neighbours']];
const unbase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const hex = (n, digits) => n.toString(16).padStart(digits, '0');
const ascii = (b) => (b > 31 && b < 127 ? String.fromCharCode(b) : '.');
// Marks that would turn the direction of what stands around, and control characters: shown, not obeyed
const visible = (text) => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '·').replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\u25ab');
const arrow = (direction) => (direction === 'client' ? '→' : direction === 'server' ? '←' : '·');
const side = (direction) => (direction === 'client' ? 'client' : direction === 'server' ? 'server' : 'unknown');

function Facts({ data }) {
    const s = data.session;
    const skip = new Set(['id', 'proto', 'state', 'files', 'packets', 'bytes', 'client_packets', 'server_packets', 'client_bytes', 'server_bytes']);
    const rows = offered().filter((c) => !skip.has(c.key) && s[c.key] !== undefined && s[c.key] !== null);
    const value = (c) => {
        const condition = c.filter?.(s, c.key), text = c.zoned ? timeOf(s[c.key], 9) : c.text(s);
        return condition ? html`<a href=${link({ filter: condition, id: undefined, tab: undefined, from: undefined, until: undefined, sel: undefined })} title=${'All sessions: ' + condition}>${text}</a>` : text;
    };
    return html`<aside class="facts" aria-label="Facts" tabindex="0">
        <dl><dt>Protocol</dt><dd>${s.proto} <span class=${'value s-' + s.state}>${s.state}</span></dd>
        ${rows.map((c) => html`<dt key=${c.key}>${c.about || c.label}</dt><dd>${value(c)}</dd>`)}</dl>
        <table><thead><tr><th></th><th>Packets</th><th>Bytes</th></tr></thead><tbody>
            <tr><th scope="row"><i class="client"></i>client</th><td>${number(s.client_packets)}</td><td>${number(s.client_bytes)}</td></tr>
            <tr><th scope="row"><i class="server"></i>server</th><td>${number(s.server_packets)}</td><td>${number(s.server_bytes)}</td></tr>
            <tr><th scope="row">both</th><td>${number(s.packets)}</td><td>${number(s.bytes)}</td></tr></tbody></table>
        <h3>Captures</h3>
        <ul class="places">${data.files.map((f) => html`<li key=${f.id}>
            <b class=${f.carvable ? 'good' : 'bad'}>${f.carvable ? '✓ ' : '✗ '}${f.state}</b> ${plural(f.packets, 'packet')}<p title=${f.path}>${f.path}</p></li>`)}</ul>
        ${data.forgotten > 0 && html`<p class="bad">${plural(data.forgotten, 'packet')} forgotten: no longer in the index</p>`}
    </aside>`;
}

// --- packets ---
const SIZE = 500, SHOWN = 2048;
const FLAG = { F: 'FIN', S: 'SYN', R: 'RST', P: 'PSH', A: 'ACK', U: 'URG', E: 'ECE', C: 'CWR' };
function Packets({ session, files, total, partial }) {
    const names = Object.fromEntries(files.map((f) => [f.id, f.path.split('/').pop()]));
    const direction = url.dir || 'both';
    const bases = useRef({});
    const pages = usePages(SIZE, async (i, mine) => {
        const answer = await get(`sessions/${session.id}/packets`, { sensor: session.sensor, first: i * SIZE + 1, limit: SIZE, partial }, mine.stop.signal);
        mine.answer = answer;
        for (const p of answer.packets) if (p.seq_raw !== null && p.seq_raw !== undefined) bases.current[p.direction] ??= p.seq_raw;
        return answer.packets;
    }, keyOf(session) + ' ' + partial);
    pages.want(0);
    const kept = direction === 'both' ? null : [...pages.loaded.entries()].sort((a, b) => a[0] - b[0]).flatMap(([, p]) => p).filter((p) => p.direction === direction);
    const all = pages.answer?.more === false && pages.loaded.size === 1 ? pages.first.length : total;
    const count = kept ? kept.length : all;
    const row = (i) => (kept ? kept[i] : pages.row(i));
    const chosen = Math.max(1, +url.n || 1);
    const at = kept ? Math.max(0, kept.findIndex((p) => p.n >= chosen)) : Math.min(count - 1, chosen - 1);
    const packet = row(at);
    const zero = pages.first?.[0] && nsOf(pages.first[0].time);
    const choose = (i) => row(i) && go({ n: row(i).n }, true);
    const onKey = (event) => {
        const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -count, End: count }[event.key];
        if (!step || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        event.stopPropagation();
        choose(Math.max(0, Math.min(count - 1, at + step)));
    };
    const relative = (p) => (p.seq_raw === null || p.seq_raw === undefined ? '' : number((p.seq_raw - (bases.current[p.direction] ?? p.seq_raw) + 2 ** 32) % 2 ** 32));
    const head = html`<div class="head prow" role="row"><span class="right">No.</span><span class="right">Time</span><span><em>From</em>
        </span><span>Flags</span><span class="right">Seq</span><span class="right">Payload</span><span class="right">Length</span>
        <span>Capture</span></div>`;
    const draw = (i, y) => {
        const p = row(i);
        const rest = { key: i, class: 'row prow' + (i === at ? ' on' : '') + (i % 2 ? ' odd' : ''), style: { top: y + 'px' }, role: 'row', 'aria-rowindex': i + 2, 'aria-selected': i === at, id: 'packet-' + i };
        if (!p) return html`<div ...${rest}><span class="dim">…</span></div>`;
        return html`<div ...${rest} onClick=${() => choose(i)} title=${timeOf(p.time, 9) + ' ' + zone()}>
            <span class="right dim">${p.n}</span>
                <span class="right">${p.time && zero !== null ? (Number(nsOf(p.time) - zero) / 1e9).toFixed(6) : ''}</span>
            <span class=${'d-' + side(p.direction)}>${arrow(p.direction)} <em>${p.direction || ''}</em></span>
                <span>${[...(p.tcp_flags || '')].map((f) => FLAG[f] || f).join(' ')}</span>
            <span class="right">${relative(p)}</span>
                <span class="right">${p.payload ? number(p.payload) : html`<i class="none">0</i>`}</span>
            <span class="right">${p.caplen < p.origlen ? html`<b class="bad" title="Cut by the snaplen">${number(p.caplen)}/</b>` : ''}${number(p.origlen)}</span><span class="dim">${names[p.file]}</span></div>`;
    };
    return html`<div class="bar"><label>direction <select value=${direction}
        onChange=${(e) => go({ dir: e.target.value === 'both' ? undefined : e.target.value }, true)}>${['both', 'client', 'server'].map((d) => html`<option value=${d}>${d}</option>`)}</select></label>
            <span class="dim">${plural(count, 'packet')}${kept && total > pages.loaded.size * SIZE ? ` of the first ${number(pages.loaded.size * SIZE)}` : ''}; time since the first, in s</span>
            ${kept && pages.loaded.size * SIZE < total && html`<button
                onClick=${() => pages.want(pages.loaded.size)}>Read ${number(SIZE)} more</button>`}
            ${pages.answer?.missing > 0 && html`<b class="bad">${plural(pages.answer.missing, 'packet')} missing: ${pages.answer.warnings.join('; ')}</b>`}</div>
        ${pages.error ? html`<p class="empty" role="alert">${pages.error.message}</p>`
        : html`<${List} count=${count} tall=${21} draw=${draw} current=${at} head=${head} grid label="Packets" active=${'packet-' + at}
            onKeyDown=${onKey} name="packets" />`}
        ${packet && html`<${Packet} session=${session} file=${packet.file} offset=${packet.offset} n=${packet.n} />`}`;
}

function Packet({ session, file, offset, n }) {
    const { data, error, busy } = useAnswer(`sessions/${session.id}/packet`, { sensor: session.sensor, file, offset });
    const [mark, setMark] = useState(null); // {off, len, key} of the field that is looked at
    const [stays, setStays] = useState(false);
    const [all, setAll] = useState(false);
    useEffect(() => (setMark(null), setStays(false), setAll(false)), [file, offset]);
    const raw = useMemo(() => data && unbase64(data.data), [data]);
    if (error) return html`<p class="empty" role="alert">${error.message}</p>`;
    if (!data) return html`<div class="packet"></div>`;
    const fields = data.layers.flatMap((layer, l) => layer.fields.map((field, f) => ({ ...field, layer: l, key: `${l}.${f}` })));
    const layerAt = (i) => data.layers.findLastIndex((layer) => i >= layer.off && i < layer.off + layer.len);
    const look = (next, click) => {
        if (stays && !click) return;
        setMark(next);
        if (click) setStays(!!next && !(stays && mark?.key === next.key));
    };
    const byteField = (i) => fields.findLast((f) => f.len && i >= f.off && i < f.off + f.len);
    const over = (event, click) => {
        const i = event.target.dataset?.i;
        if (i !== undefined) look(byteField(+i) || null, click);
        else if (!click) look(null);
    };
    const end = all ? raw.length : Math.min(raw.length, SHOWN);
    const lines = [];
    const on = (i) => mark && i >= mark.off && i < mark.off + mark.len;
    for (let at = 0; at < end; at += 16) {
        const cells = [], chars = [];
        for (let i = at; i < Math.min(at + 16, end); i++) {
            const cls = `l${layerAt(i) % 6}` + (on(i) ? ' on' : '');
            cells.push(html`<i data-i=${i} class=${cls}>${hex(raw[i], 2)}</i>${i % 16 === 7 ? '  ' : ' '}`);
            chars.push(html`<i data-i=${i} class=${cls}>${ascii(raw[i])}</i>`);
        }
        const lack = at + 16 - Math.min(at + 16, end);
        lines.push(html`<div key=${at}><b>${hex(at, 4)}</b>  ${cells}${' '.repeat(lack * 3 + (lack > 8 ? 1 : 0) + 1)}${chars}</div>`);
    }
    const named = mark && `${data.layers[mark.layer].name}.${mark.name}: ${plural(mark.len, 'byte')} at ${mark.off}`;
    return html`<div class=${busy ? 'packet busy' : 'packet'}>
        <div class="layers" role="tree" aria-label=${`Layers of packet ${n}`} tabindex="0" onMouseLeave=${() => look(null)}>
            ${data.layers.map((layer, l) => html`<details open key=${l} role="treeitem" aria-label=${layer.name}>
                <summary class=${'l' + (l % 6)}><b>${layer.name}</b> <span class="dim">${layer.off}+${layer.len}</span></summary>
                ${layer.fields.map((field, f) => {
                    const mine = { ...field, layer: l, key: `${l}.${f}` };
                    return html`<button key=${f} class=${'field' + (mark?.key === mine.key ? ' on' : '')} onMouseEnter=${() => look(mine)}
                        onFocus=${() => look(mine)} onClick=${() => look(mine, true)}><span>${field.name}</span> <code>${field.value}</code>
                        </button>`;
                })}</details>`)}
        </div>
        <div class="bytes"><pre class="hex" tabindex="0" aria-label=${`Bytes of packet ${n}`} onMouseOver=${(e) => over(e)}
            onMouseLeave=${() => look(null)} onClick=${(e) => over(e, true)}>${lines}</pre>
            ${end < raw.length && html`<button onClick=${() => setAll(true)}>Show all ${number(raw.length)} bytes</button>`}
            <p class="dim" aria-live="polite">${named || `${data.link} · ${timeOf(data.time, 9)} ${zone()} · ${data.path.split('/').pop()} @ ${data.offset}`}</p></div>
    </div>`;
}

// --- the stream ---
const FIRST = 1 << 17, LINES = 40000;
function Stream({ session, partial }) {
    const direction = url.dir || 'both', as = url.as || 'ascii';
    const [most, setMost] = useState(FIRST);
    const [pieces, setPieces] = useState([]);
    const [end, setEnd] = useState(null); // the last line, or an error
    useEffect(() => {
        const stop = new AbortController();
        const list = [];
        setEnd(null);
        (async () => {
            const response = await ask(`sessions/${session.id}/follow`, { sensor: session.sensor, direction: direction === 'both' ? '' : direction, max_bytes: most, partial }, stop.signal);
            const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
            let rest = '', last = null;
            for (let part; !(part = await reader.read()).done; ) {
                const lines = (rest + part.value).split('\n');
                rest = lines.pop();
                for (const line of lines) {
                    if (!line) continue;
                    const piece = JSON.parse(line);
                    if (piece.end) last = piece;
                    else list.push(piece);
                }
            }
            if (!last) throw new Error('the stream broke off: this is not all of it');
            setEnd(last);
            setPieces(list);
        })().catch((error) => error.name === 'AbortError' || (setPieces(list), setEnd({ error })));
        return () => stop.abort();
    }, [keyOf(session), direction, most, partial]);
    // pieces of one end in a row are one block
    const blocks = useMemo(() => {
        const out = [];
        for (const p of pieces) {
            const last = out.at(-1);
            if (p.kind === 'data' && last?.kind === 'data' && last.from === p.from) last.parts.push(p.data);
            else out.push({ ...p, parts: p.data ? [p.data] : [] });
        }
        for (const b of out) b.raw = unbase64Join(b.parts);
        return out;
    }, [pieces]);
    const show = (b) => {
        if (as === 'hex') {
            const lines = [];
            for (let i = 0; i < b.raw.length && lines.length < LINES; i += 16) {
                const part = [...b.raw.subarray(i, i + 16)];
                lines.push(hex(b.at + i, 8) + '  ' + part.map((x, k) => hex(x, 2) + (k === 7 ? ' ' : '')).join(' ').padEnd(50) + part.map(ascii).join(''));
            }
            return lines.join('\n');
        }
        if (as === 'raw') return visible(new TextDecoder().decode(b.raw));
        return Array.from(b.raw, (x) => (x === 10 ? '\n' : x === 13 ? '' : x === 9 ? '\t' : ascii(x))).join('');
    };
    const sizes = pieces.reduce((sum, p) => (p.kind === 'data' ? { ...sum, [p.from]: (sum[p.from] || 0) + p.bytes } : sum), {});
    return html`<div class="bar"><label>direction <select value=${direction}
        onChange=${(e) => go({ dir: e.target.value === 'both' ? undefined : e.target.value }, true)}>${['both', 'client', 'server'].map((d) => html`<option value=${d}>${d}</option>`)}</select></label>
            <span class="choice" role="group" aria-label="Show as">${[['ascii', 'ASCII'], ['hex', 'Hex'], ['raw', 'Raw (UTF-8)']].map(([key, name]) => html`<button aria-pressed=${as === key} onClick=${() => go({ as: key === 'ascii' ? undefined : key }, true)}>${name}</button>`)}</span>
            <span class="d-client">→ ${bytes(sizes.client || 0)}</span><span class="d-server">← ${bytes(sizes.server || 0)}</span>
            <a class="button" download href=${`/v1/sessions/${session.id}/follow` + query({ sensor: session.sensor, format: 'raw', direction: direction === 'both' ? '' : direction })}>Save the bytes</a></div>
        <div class="stream" tabindex="0" role="log" aria-label="Stream" aria-busy=${!end}>
            ${blocks.map((b, i) => b.kind === 'data' ? html`<pre key=${i} class=${'b-' + side(b.from)}
                aria-label=${b.from}>${show(b)}</pre>`
                : html`<p key=${i} class="gap" role="note">${arrow(b.from)} ${b.bytes ? plural(b.bytes, 'byte') : 'an unknown number of bytes'} ${{ missing: 'in no capture', cut: 'cut by the snaplen', fragments: 'of a datagram whose other fragments are missing' }[b.kind] || b.kind}</p>`)}
            ${end?.error ? html`<p class="gap" role="alert">${end.error.message}</p>` : !end ? html`<p class="dim">reading…</p>`
            : !end.complete ? html`<p class="more">The first ${bytes(most)}. <button
                onClick=${() => setMost(most * 8)}>Read up to ${bytes(most * 8)}</button></p>`
            : !blocks.length ? html`<p class="empty">No payload${direction === 'both' ? '' : ' in this direction'}.</p>` : html`<p class="dim">end of the stream</p>`}
        </div>`;
}
function unbase64Join(parts) {
    const list = parts.map(unbase64);
    const all = new Uint8Array(list.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of list) (all.set(p, at), (at += p.length));
    return all;
}

// --- its course: sequence numbers over time, or bytes where there are none ---
const MOST = 10000;
function Course({ session, partial }) {
    const { data, error } = useAnswer(`sessions/${session.id}/packets`, { sensor: session.sensor, columns: 'time,direction,seq-raw,payload,tcp-flags,origlen', limit: MOST, partial });
    if (error) return html`<p class="empty" role="alert">${error.message}</p>`;
    if (!data) return html`<p class="dim">reading…</p>`;
    const list = data.packets.filter((p) => p.time);
    const tcp = session.proto === 'tcp';
    const bases = {}, sums = { client: 0, server: 0 };
    const points = list.map((p) => {
        if (!(p.direction in sums)) return null;
        if (!tcp) return (sums[p.direction] += p.origlen);
        if (p.seq_raw === null || p.seq_raw === undefined) return null;
        bases[p.direction] ??= p.seq_raw;
        const behind = ((p.seq_raw - bases[p.direction] + 2 ** 31) >>> 0) - 2 ** 31; // may be before the first that was seen
        return behind + p.payload;
    });
    const make = (width, height) => {
        if (!list.length) return null;
        const zero = nsOf(list[0].time);
        const x = list.map((p) => Number(nsOf(p.time) - zero));
        const order = x.map((_, i) => i).sort((a, b) => x[a] - x[b]);
        const opts = options(width, height, zero, short, true);
        const last = Math.max(...x), first = Math.min(0, ...x);
        opts.scales = { x: { time: false, range: (u, min, max) => (max > min ? [Math.min(min, first), max] : [first, last || 1000]) } };
        const series = (name, i) => ({ label: name, stroke: css(i ? '--server' : '--client'), width: 1, spanGaps: true, points: { show: true, size: 4, fill: css(i ? '--server' : '--client') } });
        opts.series = [{}, series('client', 0), series('server', 1)];
        opts.cursor = { drag: { x: true, y: false }, points: { size: 7 } };
        return { opts, data: [order.map((i) => x[i]), ...['client', 'server'].map((d) => order.map((i) => (list[i].direction === d ? points[i] : null)))] };
    };
    return html`<div class="bar"><span class="d-client">● client</span><span class="d-server">● server</span>
            <span class="dim">${tcp ? 'sequence number, from the first on' : 'bytes so far'}, over time${data.more ? `; the first ${number(MOST)} of ${number(data.total)} packets` : ''}; drag zooms, double click shows all</span></div>
        <${Plot} make=${make} deps=${[data]} label="Bytes of both ends over time" height=${Math.max(220, Math.min(460, innerHeight - 250))} />`;
}

// --- what the same hosts did around it ---
function Near({ session }) {
    const [who, setWho] = useState('both'), [width, setWidth] = useState('60');
    const start = nsOf(session.start), end = nsOf(session.end), room = BigInt(width) * 1000000000n;
    const [c, s] = [session.client_addr, session.server_addr];
    const [hc, hs] = [hostFilter(c), hostFilter(s)];
    const filter = !c || !s ? '' : { both: `${hc} and ${hs}`, client: hc, server: hs, any: `(${hc} or ${hs})` }[who];
    const params = { filter, from: start !== null ? isoOf(start - room) : '', until: end !== null ? isoOf(end + room) : '' };
    const { data, error } = useAnswer('sessions', { ...params, sort: 'start', limit: 300, columns: (many() ? 'sensor,' : '') + 'id,start,duration,proto,client_addr,client_port,server_addr,server_port,packets,bytes,state' });
    const away = (text) => (start === null || !text ? '' : ((n) => (n < 0 ? '−' : '+') + duration(Math.abs(n) / 1e9))(Number(nsOf(text) - start)));
    const day = (time) => timeOf(time, 0).slice(0, 10);
    const mine = keyOf(session);
    const row = (n) => html`<tr key=${keyOf(n)} class=${keyOf(n) === mine ? 'on' : ''}>${many() && html`<td>${n.sensor}</td>`}
        <td><a href=${link({ id: keyOf(n), n: undefined })} title=${timeOf(n.start, 9)}>
            ${timeOf(n.start, 3).slice(day(n.start) === day(session.start) ? 11 : 0)}</a></td>
        <td class="right">${keyOf(n) === mine ? 'this' : away(n.start)}</td><td class="right">${duration(n.duration)}</td>
        <td>${n.proto}</td><td>${endpoint(n.client_addr, n.client_port)}</td><td>${endpoint(n.server_addr, n.server_port)}</td>
        <td class="right">${number(n.packets)}</td><td class="right">${bytes(n.bytes)}</td><td class=${'s-' + n.state}>${n.state}</td></tr>`;
    return html`<div class="bar"><label>hosts <select value=${who}
        onChange=${(e) => setWho(e.target.value)}>${[['both', 'client with server'], ['any', 'either'], ['client', 'the client'], ['server', 'the server']].map(([k, n]) => html`<option value=${k}>${n}</option>`)}</select></label>
            <label>within <select value=${width}
                onChange=${(e) => setWidth(e.target.value)}>${[[1, '1 s'], [10, '10 s'], [60, '1 min'], [600, '10 min'], [3600, '1 h'], [86400, '1 d']].map(([k, n]) => html`<option value=${k}>${n}</option>`)}</select></label>
            <span class="dim">${data ? plural(data.sessions.length, 'session') + (data.more ? ' and more' : '') : ''}</span>
            <a class="button" href=${link({ ...params, id: undefined, tab: undefined, sel: undefined })}>Show in the table</a></div>
        ${error ? html`<p class="empty" role="alert">${error.message}</p>` : html`<div class="scroll" tabindex="0"><table class="plain">
            <thead><tr>${many() && html`<th>Sensor</th>`}<th>Start</th><th class="right">Apart</th><th class="right">Duration</th><th>Proto</th><th>Client</th><th>Server</th>
            <th class="right">Packets</th><th class="right">Bytes</th><th>State</th></tr></thead>
            <tbody>${(data?.sessions || []).map(row)}</tbody></table></div>`}`;
}

// What a sensor has answered may be anything: what cannot be drawn is said, and does not take the page along
export function Safe({ children }) {
    const [failed, set] = useState(false);
    this.componentDidCatch = () => set(true);
    return failed ? html`<div class="view"><p class="empty" role="alert">This answer cannot be shown: it is not what the API says it is.</p></div>` : children;
}

export function Session({ onDownload, step }) {
    const { sensor, id } = partsOf(url.id);
    const { data, error, busy } = useAnswer('sessions/' + encodeURIComponent(id), { sensor });
    const [partial, setPartial] = useState('');
    useEffect(() => setPartial(''), [url.id]);
    const tab = url.tab || 'packets';
    const back = link({ id: undefined, tab: undefined, n: undefined, dir: undefined, as: undefined });
    const heading = useRef();
    useEffect(() => heading.current?.focus(), [url.id, !!data]);
    if (error) return html`<div class="view"><div class="bar title"><a class="button" href=${back}>← Sessions</a>
        <p role="alert">${error.message}</p></div></div>`;
    const s = data?.session && { ...data.session, sensor };
    const gone = data && !data.carvable && !partial;
    return html`<div class=${busy ? 'view busy' : 'view'}>
        <div class="bar title"><a class="button" href=${back} title="Esc">← Sessions</a>
            <h2 tabindex="-1" ref=${heading}>Session ${url.id}${s && html` <span>${s.proto} ${endpoint(s.client_addr, s.client_port)} → ${endpoint(s.server_addr, s.server_port)}</span>`}</h2>
            ${data && html`<b class=${data.carvable ? 'badge good' : 'badge bad'}>${data.carvable ? 'packets are there' : 'packets are not all there'}</b>`}
            <span class="push"></span><button onClick=${() => step(-1)}
                title="Previous session ([)" aria-label="Previous session">↑</button><button onClick=${() => step(1)}
                title="Next session (])" aria-label="Next session">↓</button>
            <button class="main" onClick=${() => onDownload({ ids: id, sensor, what: 'session ' + url.id })} disabled=${!data}>Download…</button></div>
        ${data && html`<div class="split"><${Facts} data=${{ ...data, session: s }} /><section class="tabs" aria-label="Session">
            <div class="tablist" role="tablist">${TABS.map(([key, name], i) => html`<button role="tab" aria-selected=${tab === key}
                title=${`${name} (${i + 1})`}
                onClick=${() => go({ tab: key === 'packets' ? undefined : key }, true)}>${name}</button>`)}</div>
            <div class="panel" role="tabpanel">${tab === 'near' ? html`<${Near} session=${s} />`
            : gone ? html`<div class="empty">
                <p>Captures of this session are not where the index has them, or have changed: see at the left.</p>${data.files.some((f) => f.carvable) && html`<button onClick=${() => setPartial('true')}>Show what is there</button>`}</div>`
            : tab === 'stream' ? html`<${Stream} session=${s} partial=${partial} />` : tab === 'course' ? html`<${Course} session=${s} partial=${partial} />`
            : html`<${Packets} session=${s} files=${data.files} total=${data.positions} partial=${partial} key=${url.id} />`}</div>
                </section></div>`}
    </div>`;
}
