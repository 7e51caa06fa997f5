// SPDX-License-Identifier: MIT
// Files, status, help, signing in, and the dialogs: download, the equal command, columns.
import {
    html, useState, useEffect, useLayoutEffect, useRef, url, go, ask, get, failure, query, useAnswer, range, server, tell, number, bytes,
    duration, timeOf, nsOf, zone, quoted, plural, short, css, many
} from './core.js';
import { Plot, options } from './chart.js';
import { ColumnDialog } from './table.js';

const GOOD = { present: 1, pending: 1, grown: 1, archived: 1 };
export function Files({ again }) {
    const [check, setCheck] = useState('');
    const { data, error, busy } = useAnswer('files', { check }, again);
    const damage = useAnswer('damage', { limit: 200 }, again);
    if (error) return html`<p class="empty" role="alert">${error.message}</p>`;
    if (!data) return null;
    const times = data.files.flatMap((f) => [nsOf(f.first), nsOf(f.last)]).filter((t) => t !== null);
    const low = times.reduce((a, b) => (b < a ? b : a), times[0] ?? 0n), span = Number(times.reduce((a, b) => (b > a ? b : a), low) - low) || 1;
    const bar = (f) => {
        const [a, b] = [nsOf(f.first), nsOf(f.last)];
        return a === null || b === null ? null : html`<i class="extent" title=${`${timeOf(f.first, 6)} – ${timeOf(f.last, 6)} ${zone()}`}>
            <b style=${{ left: (Number(a - low) / span) * 100 + '%', width: Math.max(0.8, (Number(b - a) / span) * 100) + '%' }}></b></i>`;
    };
    const { files, size, records, ...states } = data.sums;
    const sum = (key) => data.files.reduce((n, f) => n + (f[key] || 0), 0);
    const [ignored, forgotten, lost, pending] = ['ignored', 'forgotten', 'lost_bytes', 'pending_bytes'].map(sum);
    return html`<div class="bar"><span>
        <b>${plural(files, 'capture')}</b>, ${bytes(size)}: ${number(records)} records${server.status ? ` = ${number(server.status.index.packets)} packets in sessions` : ''} + ${number(ignored)} ignored${forgotten ? ` + ${number(forgotten)} forgotten` : ''}</span>
            ${Object.entries(states).map(([state, n]) => html`<b class=${GOOD[state] ? 'badge good' : 'badge bad'}>${number(n)} ${state}</b>`)}
            ${lost > 0 && html`<b class="badge bad">${bytes(lost)} damaged</b>`}${pending > 0 && html`<span class="badge">${bytes(pending)} pending</span>`}
            <span class="push"></span><button onClick=${() => setCheck('true')} disabled=${busy || check}
                title="Reads a little of each capture">${check ? (busy ? 'Comparing…' : 'Contents compared') : 'Compare contents'}</button>
                </div>
        <div class=${busy ? 'scroll tall busy' : 'scroll tall'} tabindex="0"><table class="plain"><thead><tr><th>ID</th><th>Capture</th>
            <th>State</th><th>Format</th><th class="right">Size</th><th class="right">Records</th><th>First <i>${zone()}</i></th>
            <th>Span</th><th class="when">When</th><th class="right">Damage</th></tr></thead>
        <tbody>${data.files.map((f) => html`<tr key=${f.id}><td class="right">${f.id}</td><td class="path">
            <a href=${'#' + new URLSearchParams({ filter: `file "${f.path}"` })} title=${`Sessions in ${f.path}`}>${f.path}</a></td>
            <td><b class=${GOOD[f.state] ? 'good' : 'bad'}
                title=${f.why || ''}>${f.state}</b>${f.why && html`<p class="dim">${f.why}</p>`}</td>
                <td>${f.format}${f.compression !== 'none' ? ' ' + f.compression : ''}</td><td class="right">${bytes(f.size)}</td>
            <td class="right" title=${`${number(f.ignored)} ignored, ${number(f.forgotten)} forgotten`}>${number(f.records)}</td>
                <td>${timeOf(f.first, 0)}</td><td class="right">${f.first && duration(Number(nsOf(f.last) - nsOf(f.first)) / 1e9)}</td>
                <td class="when">${bar(f)}</td>
            <td class="right">${f.damaged ? html`<b class="bad">${plural(f.damaged, 'range')}, ${bytes(f.lost_bytes)}</b>` : f.pending_bytes ? html`${bytes(f.pending_bytes)} pending` : html`<span class="none">–</span>`}</td></tr>`)}</tbody></table>
        ${damage.data?.damage.length > 0 && html`<h3>Damage</h3><table class="plain"><thead><tr><th>Capture</th>
            <th class="right">Offset</th><th class="right">Bytes</th><th>Cause</th></tr></thead>
            <tbody>${damage.data.damage.map((d) => html`<tr><td class="path">${d.path}</td><td class="right">${number(d.off)}</td>
                <td class="right">${number(d.length)}</td><td>${d.cause}</td></tr>`)}</tbody>
                </table>${damage.data.more && html`<p class="dim">The first 200 ranges.</p>`}`}</div>`;
}

// --- sensors of a cluster: what each has sent to the engine, and when it said so last ---
const LATE = 600; // s; one that follows its index says something each minute
export function Sensors() {
    const list = server.status?.sensors || [];
    const missing = (s) => (!s.in_engine ? 'it has sent nothing to the engine yet' : !s.in_file ? 'the file of the cluster does not name it: its packets cannot be had' : '');
    const late = list.filter((s) => s.lag > LATE).length, lacking = list.filter((s) => missing(s)).length;
    return html`<div class="bar"><b>${plural(list.length, 'sensor')}</b>${lacking > 0 && html`<b class="badge bad">${number(lacking)} not complete</b>`}
            ${late > 0 && html`<b class="badge bad">${number(late)} silent for ${duration(LATE)} and longer</b>`}</div>
        <div class="scroll tall" tabindex="0"><table class="plain"><thead><tr><th>Sensor</th><th>State</th><th>Last packet <i>${zone()}</i></th>
            <th>Told <i>${zone()}</i></th><th class="right">Ago</th><th class="right">Run</th><th>Fields</th><th>Index</th></tr></thead>
        <tbody>${list.map((s) => html`<tr key=${s.name}><td><a href=${'#' + new URLSearchParams({ filter: `sensor ${s.name}` })} title=${`Sessions of ${s.name}`}>${s.name}</a></td>
            <td><b class=${missing(s) ? 'bad' : 'good'}>${!s.in_engine ? 'not in the engine' : !s.in_file ? 'not in the file' : 'in file and engine'}</b>${missing(s) && html`<p class="dim">${missing(s)}</p>`}</td>
            <td>${s.clock ? timeOf(s.clock, 3) : html`<span class="none">–</span>`}</td><td>${s.told ? timeOf(s.told, 0) : html`<span class="none">–</span>`}</td>
            <td class="right">${s.lag === null ? '' : html`<b class=${s.lag > LATE ? 'bad' : ''}>${s.lag < 0 ? '−' : ''}${duration(Math.round(Math.abs(s.lag)))}</b>`}</td>
            <td class="right">${s.in_engine ? number(s.run) : ''}</td><td>${s.fields.join(', ')}</td><td title=${s.generation || ''}><code>${s.generation?.slice(0, 8) || ''}</code></td></tr>`)}</tbody></table>
        <p class="dim">Told: when the sensor has noted last how far its sessions are in the engine, by its clock. Captures are listed by the page of each sensor.</p></div>`;
}

// --- status: what the index holds, and how it grows while this page is open ---
export const samples = []; // {at, sessions, packets, bytes}: one a change, or each 10 s
const dropped = (w) => (w ? w.dropped_kernel + w.dropped_queue + w.dropped_disk + w.dropped_iface : 0);
// what the process tells that keeps the index up to date
function writerFacts(w) {
    if (!w) return [['Writer', 'none: nothing keeps this index up to date']];
    const causes = ['kernel', 'queue', 'disk', 'iface'].filter((k) => w['dropped_' + k]).map((k) => `${number(w['dropped_' + k])} ${k}`);
    return [
        ['Writer', `flowcarve ${w.command} of ${w.what}, ${w.state}, since ${timeOf(w.started, 0)} ${zone()}`],
        ['Comes', `${short(w.packets_per_s)} packets/s, ${bytes(w.bytes_per_s)}/s`],
        ['Behind', w.waiting ? `${w.lag.toFixed(1)} s: ${number(w.waiting)} ${w.command === 'capture' ? 'packets' : 'files'} wait` : 'nothing waits'],
        ...(w.command === 'capture' ? [['Received', `${number(w.received)} packets, ${number(w.recorded)} recorded`], ['Dropped', causes.join(', ') || 'none']] : []),
        ...(w.error ? [['Last error', w.error]] : []),
    ];
}
export function sample(status) {
    const { sessions, packets, bytes } = status.index;
    samples.push({ at: BigInt(Date.now()) * 1000000n, sessions, packets, bytes, dropped: dropped(status.writer) });
    if (samples.length > 1800) samples.shift();
}
function Rate({ of, label, text }) {
    const steps = samples.slice(1).map((s, i) => [s.at, (Math.max(0, s[of] - samples[i][of]) / Number(s.at - samples[i].at)) * 1e9]);
    const make = (width, height) => {
        if (!steps.length) return null;
        const zero = steps[0][0], x = steps.map(([at]) => Number(at - zero));
        const opts = options(width, height, zero, text);
        opts.scales = { x: { time: false, range: () => [0, Math.max(6e10, x.at(-1))] }, y: { range: (u, a, b) => [0, Math.max(10, b * 1.1)] } };
        opts.series = [{}, { stroke: css('--c1'), width: 1.5, points: { show: x.length < 2 } }];
        return { opts, data: [x, steps.map(([, rate]) => rate)] };
    };
    return html`<section aria-label=${label}><h3>${label} <span class="dim">${steps.length ? text(steps.at(-1)[1]) : ''}</span>
        </h3>${!steps.length && html`<p class="empty">nothing has come yet</p>`}<${Plot} make=${make} deps=${[samples.length, zone()]} label=${label} height=${130} /></section>`;
}
export function Status() {
    const s = server.status;
    if (!s) return null;
    const i = s.index;
    const you = [['Program', `flowcarve ${s.flowcarve}, API ${s.api}`], ['You', `${s.who}: ${s.scopes.join(', ')}`], ['Limits', `${number(s.limits.rows)} rows, ${s.limits.deadline_s} s a question, ${s.limits.streams} streams`]];
    const facts = many() ? [['Cluster', i.path], ['Sensors', number(s.sensors.length)], ['Last', i.end && `${timeOf(i.end, 9)} ${zone()}`], ['Fields', i.fields.join(', ') || 'none besides the usual'], ...you] : [
        ['Index', i.path], ['Size', `${bytes(i.size)}, ${(i.size / Math.max(1, i.packets)).toFixed(1)} bytes a packet`], ['Captures', number(i.files)], ['Sessions', number(i.sessions)], ['Packets', number(i.packets)], ['Bytes', `${number(i.bytes)} (${bytes(i.bytes)})`],
        ['First', i.start && `${timeOf(i.start, 9)} ${zone()}`], ['Last', i.end && `${timeOf(i.end, 9)} ${zone()}`], ['Fields', i.fields.join(', ') || 'none besides the usual'], ['Profile', i.profile || 'flowcarve'],
        ...writerFacts(s.writer), ['Generation', i.generation], ...you,
    ];
    const rate = (f) => (n) => f(n) + '/s';
    return html`<div class="scroll tall" tabindex="0"><dl class="status">${facts.map(([k, v]) => html`<dt>${k}</dt>
        <dd>${v ?? '–'}</dd>`)}</dl>
        ${!many() && html`<p class="dim">What the index has gained since this page was opened, as by <code>flowcarve watch</code> beside it.</p>
        <div class="rates"><${Rate} of="sessions" label="Sessions" text=${rate(short)} />
            <${Rate} of="packets" label="Packets" text=${rate(short)} /><${Rate} of="bytes" label="Bytes" text=${rate(bytes)} />
            ${s.writer?.command === 'capture' && html`<${Rate} of="dropped" label="Dropped packets" text=${rate(short)} />`}</div>`}
        <button onClick=${() => ask('logout', {}, null, { method: 'POST', headers: { 'Content-Type': 'application/json' } }).finally(() => tell({ problem: 'login' }))}>Sign out</button></div>`;
}

// --- signing in ---
export async function login(token) {
    const response = await fetch('/v1/login', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token }) });
    if (!response.ok) throw await failure(response);
    tell({ problem: null });
}
export function Login() {
    const [error, setError] = useState(null);
    const submit = async (event) => {
        event.preventDefault();
        const text = event.target.elements.token.value.trim();
        try {
            await login(/token=([^&\s]+)/.exec(text)?.[1] ? decodeURIComponent(/token=([^&\s]+)/.exec(text)[1]) : text);
        } catch (problem) {
            setError(problem.message);
        }
    };
    return html`<main class="login"><form onSubmit=${submit}><h1>flowcarve</h1>
        <p>Open the URL that <code>flowcarve serve</code> has printed when it started: the token in it lets this browser in, once. Or give a token here.</p>
        <label>Token, or that URL <input name="token" type="password" autocomplete="off" autofocus />
            </label>${error && html`<p class="bad" role="alert">${error}</p>`}<button class="main">Enter</button></form></main>`;
}

// --- dialogs ---
export function Dialog({ title, onClose, children }) {
    const box = useRef();
    useLayoutEffect(() => {
        box.current.showModal();
        box.current.focus();
        const leave = () => onClose();
        box.current.addEventListener('close', leave);
        return () => box.current?.removeEventListener('close', leave);
    }, []);
    return html`<dialog ref=${box} tabindex="-1" aria-label=${title}
        onClick=${(event) => event.target === box.current && box.current.close()}><header><h2>${title}</h2>
        <button class="icon" aria-label="Close" onClick=${() => box.current.close()}>×</button></header>
        <div class="inside">${children}</div></dialog>`;
}
function Copy({ label, text }) {
    const [done, setDone] = useState(false);
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(text);
        } catch {
            return; // the text is there to be marked by hand
        }
        setDone(true);
        setTimeout(() => setDone(false), 1500);
    };
    return html`<div class="copy"><h3>${label}</h3><pre tabindex="0">${text}</pre><button onClick=${copy}
        aria-live="polite">${done ? 'Copied' : 'Copy'}</button></div>`;
}
const out = () => (many() ? 'out.pcapng' : 'out.pcap'); // as it is by itself
const source = () => (many() ? '--cluster ' : '-d ') + quoted(server.status?.index.path || 'flowcarve.db');
// The server ends a filter with a line break in front of more, as a comment may be its last line
const commandFilter = (filter) => (filter ? ' -- ' + quoted(filter.includes('#') ? filter : filter.replaceAll('\n', '')) : '');
const columnsOf = () => (url.cols || '').replace(/:\d+/g, '');
export function Command({ onClose }) {
    const { data, error } = useAnswer('filter', range());
    if (error) return html`<${Dialog} title="As command" onClose=${onClose}><p role="alert">${error.message}</p></${Dialog}>`;
    if (!data) return null;
    const filter = commandFilter(data.filter);
    const sort = (url.sort ? ` --sort ${url.sort}` : '') + (columnsOf() ? ` --columns ${columnsOf()}` : '');
    return html`<${Dialog} title="As command" onClose=${onClose}>
        <${Copy} label="The table" text=${`flowcarve query ${source()}${sort}${filter}`} />
            <${Copy} label="How many" text=${`flowcarve query ${source()} --count${filter}`} />
        <${Copy} label="The packets" text=${`flowcarve carve ${source()} -w ${out()}${filter}`} />
        ${data.filter && html`<${Copy} label="Equal filter of tcpdump" text=${data.bpf || `none: ${data.bpf_lacks || 'no equal'}`} />
            <${Copy} label="Equal filter of Wireshark" text=${data.wireshark || `none: ${data.wireshark_lacks || 'no equal'}`} />`}</${Dialog}>`;
}

// what: {ids} or {all: true}; sums: what is known of how much it is
export function Download({ what, onClose }) {
    const [opts, setOpts] = useState({ format: '', direction: '', compress: '', comments: '', partial: '' });
    const [state, setState] = useState(null);
    const one = useAnswer(/^-?\d+$/.test(what.ids) ? 'sessions/' + what.ids : null, { sensor: what.sensor }).data;
    const filter = useAnswer(what.ids ? null : 'filter', what.filter ? { filter: what.filter } : range());
    const params = what.ids ? { ids: what.ids, sensor: what.sensor } : what.filter ? { filter: what.filter } : range();
    const address = '/v1/carve' + query({ ...params, ...opts });
    const set = (key) => (event) => (setState(null), setOpts({ ...opts, [key]: event.target.type === 'checkbox' ? (event.target.checked ? 'true' : '') : event.target.value }));
    // Whether it can be had is asked before: an answer that is an error would be saved as a file otherwise
    const start = async (event) => {
        event.preventDefault();
        setState('asking…');
        try {
            await get('carve/check', { ...params, ...opts });
            const link = document.createElement('a');
            link.href = address;
            link.download = '';
            link.click();
            setState('The browser is saving it. A download that fails midway is shown as failed, never as a whole capture.');
        } catch (error) {
            setState(html`<b class="bad">${error.message}</b>${/missing|changed|sensor/.test(error.code) ? ' (tick “leave out” to go on without)' : ''}`);
        }
    };
    const choice = (key, label, list) => html`<label>${label} <select value=${opts[key]}
        onChange=${set(key)}>${list.map(([value, name]) => html`<option value=${value}>${name}</option>`)}</select></label>`;
    const url_ = location.origin + address;
    const words = (opts.direction ? ` --direction ${opts.direction}` : '') + (opts.format ? ` --format ${opts.format}` : '') + (opts.compress ? ` --compress ${opts.compress}` : '');
    return html`<${Dialog} title=${`Packets of ${what.what}`} onClose=${onClose}><form onSubmit=${start}>
        <p>${[what, one?.session].map((k) => k?.packets !== undefined && `${plural(k.packets, 'packet')}, ${bytes(k.bytes)}. `)}${one && html`${one.files.map((f) => html`<b class=${f.carvable ? 'good' : 'bad'}>${f.carvable ? '✓' : '✗'} ${f.path.split('/').pop()} ${f.carvable ? '' : f.state} </b>`)}`}</p>
        <div class="grid">${choice('format', 'Format', [['', many() ? 'pcapng' : 'pcap, or pcapng where needed'], ['pcap', 'pcap'], ['pcapng', 'pcapng']])}${choice('direction', 'Direction', [['', 'both'], ['client', 'sent by the client'], ['server', 'sent by the server']])}
            ${choice('compress', 'Compress', [['', 'no'], ['gzip', 'gzip'], ['zstd', 'zstd'], ['lz4', 'lz4'], ['xz', 'xz']])}
            <label class="check"><input type="checkbox" checked=${!!opts.partial}
                onChange=${set('partial')} /> leave out ${many() ? 'what sensors cannot give' : 'captures that are missing'}</label></div>
        <p><button class="main">Download</button> <span role="status">${state}</span></p></form>
        <${Copy} label="Open in Wireshark" text=${`curl -sS --fail -H "Authorization: Bearer $T" ${quoted(url_)} | wireshark -k -i -`} />
        <p class="dim">$T is a token of the file given to <code>flowcarve serve --tokens</code>. On the machine with ${many() ? 'that file' : 'the index'} it goes without server:</p>
        <${Copy} label="By command" text=${what.sensor ? `flowcarve carve ${source()}${words} -w out.pcapng${commandFilter(`sensor ${what.sensor} and id ${what.ids}`)}` : what.ids ? `flowcarve carve ${source()} --id ${what.ids}${words} -w ${out()}` : `flowcarve carve ${source()}${words} -w ${out()}${commandFilter(filter.data?.filter)}`} /></${Dialog}>`;
}
export const Columns = ({ onClose }) => html`<${Dialog} title="Columns" onClose=${onClose}><${ColumnDialog} /></${Dialog}>`;

const KEYS = [
    ['Anywhere', [['/', 'type a filter'], ['1 2 3 4', 'sessions, top, files or sensors, status; in a session its tabs'], ['?', 'this help'], ['Esc', 'close, go back'], ['b', 'back to the view before'], ['c', 'as command'], ['d', 'download'], ['t', 'light, dark, as the system'], ['r', 'ask again']]],
    ['Table', [['j k ↓ ↑', 'next, previous session'], ['g G', 'first, last'], ['Enter', 'open it'], ['h l ← →', 'a value of the row'], ['+ −', 'only that value, exclude it'], ['x X', 'select, select up to here'], ['o', 'columns']]],
    ['Time', [['z', 'snap the range to what was found'], ['a', 'all of it'], ['i u', 'zoom in, out (also the wheel)'], ['< >', 'earlier, later'], ['drag', 'a range']]],
    ['Session', [['[ ]', 'previous, next session'], ['j k', 'packets']]],
];
export const Help = ({ onClose }) => html`<${Dialog} title="Help" onClose=${onClose}>
    <div class="keys">${KEYS.map(([title, keys]) => html`<section><h3>${title}</h3>
    <dl>${keys.map(([key, text]) => html`<dt>${key.split(' ').map((k) => html`<kbd>${k}</kbd>`)}</dt><dd>${text}</dd>`)}</dl>
    </section>`)}</div>
    <h3>Filters</h3><p>As for tcpdump, about sessions: <code>host 10.0.0.5 and port 443</code>, <code>net 10.0.0.0/8 and not port 53</code>, <code>client 10.0.0.5 and bytes over 10M</code>, <code>state rejected</code>, <code>duration at least 1h</code>, <code>port 80,443</code>, <code>file 'monday*.pcap'</code>, <code>between 2024-05-31 22:20 and 22:30</code>. <b>src</b> or <b>client</b> is the side that sent the first packet. Tab completes; ↓ in an empty box has recent and saved ones.</p>
    <p class="dim">The address of this page holds all that you see: send it to somebody who may ask this server.</p></${Dialog}>`;
