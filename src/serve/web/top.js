// SPDX-License-Identifier: MIT
// Who has the most: bars that filter on click, and a map of who talks to whom.
import {
    html, useState, url, go, useAnswer, range, server, number, bytes, short, duration, addFilter, hostFilter, plural, many
} from './core.js';

const PANELS = [
    ['client', 'Clients', (r) => r.client], ['server', 'Servers', (r) => r.server], ['pair', 'Pairs', (r) => `${r.client} → ${r.server}`],
    ['port', 'Server ports', (r) => (r.port === null ? r.proto : `${r.proto} ${r.port}`)], ['proto', 'Protocols', (r) => r.proto], ['state', 'States', (r) => r.state],
];
const panels = () => (many() ? [['sensor', 'Sensors', (r) => r.sensor], ...PANELS] : PANELS);
const MUCH = 2e6; // sessions that are added up without asking: a second or so for each panel
const OF = ['bytes', 'packets', 'sessions'];
export const seconds = (reads) => duration(Math.max(1, Math.round((reads / 2e6) * 2)));

function Panel({ by, title, name, sort, again }) {
    const [limit, setLimit] = useState(10);
    const { data, error, busy } = useAnswer('top', { ...range(), by, sort, limit }, again);
    const most = Math.max(1, ...(data?.rows || []).map((r) => r[sort]));
    const text = sort === 'bytes' ? bytes : short;
    return html`<section class=${busy ? 'bars busy' : 'bars'} aria-label=${title}>
        <h3>${title} <span class="dim">${data ? number(data.groups) : ''}</span></h3>
        ${error && error.code !== 'filter' ? html`<p class="empty" role="alert">${error.message}</p>` : html`<ol>${(data?.rows || []).map((r, i) => {
            const inner = html`<i style=${{ width: (r[sort] / most) * 100 + '%' }}></i><span title=${name(r)}>${name(r) ?? '–'}</span>
                <b>${text(r[sort])}</b>`;
            const about = `${plural(r.sessions, 'session')}, ${plural(r.packets, 'packet')}, ${bytes(r.bytes)}`;
            return html`<li key=${i}>${r.filter ? html`<button title=${`${about}\nOnly: ${r.filter}\nShift: exclude`}
                onClick=${(event) => addFilter(r.filter, event.shiftKey)}>${inner}</button>`
                : html`<div title=${about}>${inner}</div>`}</li>`;
        })}</ol>`}
        ${data?.more && limit < 1000 && html`<button class="quiet" onClick=${() => setLimit(limit * 5)}>more</button>`}
        ${busy && !data && html`<p class="dim">adding up…</p>`}</section>`;
}

// --- the map: who asks at the left, who answers at the right, who does both between them ---
const EDGES = 60;
function place(rows) {
    const nodes = new Map();
    const node = (host) => nodes.get(host) || nodes.set(host, { host, out: 0, in: 0, near: [] }).get(host);
    for (const r of rows) {
        const [a, b] = [node(r.client), node(r.server)];
        a.out += r.bytes || 1;
        b.in += r.bytes || 1;
        a.near.push(b);
        b.near.push(a);
    }
    const lanes = [[], [], []];
    for (const n of nodes.values()) lanes[n.in && n.out ? 1 : n.out ? 0 : 2].push(n);
    for (const lane of lanes) lane.sort((a, b) => b.in + b.out - a.in - a.out);
    const order = () => lanes.forEach((lane) => lane.forEach((n, i) => (n.y = (i + 0.5) / lane.length)));
    order();
    // each stands at the mean height of those it talks to: few crossings
    for (let round = 0; round < 8; round++) {
        for (const lane of lanes) {
            for (const n of lane) n.want = n.near.reduce((sum, m) => sum + m.y, 0) / n.near.length;
            lane.sort((a, b) => a.want - b.want);
        }
        order();
    }
    return { nodes, lanes };
}
function Map_({ again }) {
    const { data, error } = useAnswer('top', { ...range(), by: 'pair', sort: 'bytes', limit: EDGES }, again);
    const [over, setOver] = useState(null);
    if (error || !data) return null;
    const rows = data.rows.filter((r) => r.client && r.server && r.client !== r.server);
    if (!rows.length) return html`<p class="empty">No pairs of hosts here.</p>`;
    const { nodes, lanes } = place(rows);
    const high = Math.max(120, Math.max(...lanes.map((l) => l.length)) * 18 + 10);
    const middle = lanes[1].length > 0, W = 900;
    const x = (n) => [215, 450, 685][lanes.findIndex((l) => l.includes(n))];
    const y = (n) => n.y * high;
    const most = Math.max(...rows.map((r) => r.bytes), 1);
    const touched = (r) => !over || over === r.client || over === r.server;
    return html`<div class="scroll"><svg class="map" viewBox=${`0 0 ${W} ${high}`}
        role="group" aria-label=${`${nodes.size} hosts, ${rows.length} pairs`}>
        ${rows.map((r) => {
            const a = nodes.get(r.client), b = nodes.get(r.server), [x1, y1, x2, y2] = [x(a), y(a), x(b), y(b)];
            const bend = x1 === x2 ? 60 + Math.abs(y2 - y1) / 3 : (x2 - x1) / 2;
            return html`<path class=${touched(r) ? 'edge' : 'edge off'} d=${`M${x1},${y1} C${x1 + bend},${y1} ${x2 + (x1 === x2 ? bend : -bend)},${y2} ${x2},${y2}`} stroke-width=${1 + 7 * Math.sqrt(r.bytes / most)} onClick=${() => addFilter(r.filter)}>
                <title>${`${r.client} → ${r.server}\n${plural(r.sessions, 'session')}, ${bytes(r.bytes)}`}</title></path>`;
        })}
        ${[...nodes.values()].map((n) => {
            const lane = lanes.findIndex((l) => l.includes(n));
            return html`<a class=${over && over !== n.host && !n.near.some((m) => m.host === over) ? 'node off' : 'node'} tabindex="0" role="button" aria-label=${`${n.host}: ${n.near.length} pairs`} onMouseEnter=${() => setOver(n.host)} onMouseLeave=${() => setOver(null)} onFocus=${() => setOver(n.host)} onBlur=${() => setOver(null)}
                onClick=${() => addFilter(hostFilter(n.host))} onKeyDown=${(e) => e.key === 'Enter' && (e.stopPropagation(), addFilter(hostFilter(n.host)))}>
                <circle cx=${x(n)} cy=${y(n)} r="4" />
                    <text x=${x(n) + (lane === 0 ? -9 : 9)} y=${y(n) + (lane === 1 ? -6 : 4)} text-anchor=${lane === 0 ? 'end' : 'start'}>${n.host}</text></a>`;
        })}</svg></div>
        <p class="dim">Clients at the left, servers at the right${middle ? ', hosts that are both between them' : ''}; the wider, the more bytes.${data.more ? ` The ${EDGES} largest of ${number(data.groups)} pairs: narrow the filter to see others.` : ''}</p>`;
}

export function Top({ again }) {
    const cost = useAnswer('cost', range(), again);
    const [asked, setAsked] = useState(null);
    const key = JSON.stringify(range());
    const sort = OF.includes(url.of) ? url.of : 'bytes';
    const much = cost.data && cost.data.reads > MUCH && asked !== key;
    if (!cost.data && !cost.error) return null;
    return html`<div class="bar">
        <span class="choice" role="group" aria-label="Sort by">${OF.map((of) => html`<button aria-pressed=${sort === of}
        onClick=${() => go({ of: of === 'bytes' ? undefined : of }, true)}>${of}</button>`)}</span>
            <span class="dim">Click a bar to narrow the filter, with Shift to exclude it.</span></div>
        ${much ? html`<div class="empty">
            <p>This reads ${number(cost.data.reads)} sessions for each of ${PANELS.length} lists, about ${seconds(cost.data.reads * PANELS.length)} in all.</p><button class="main" onClick=${() => setAsked(key)}>Add them up</button></div>`
        : html`<div class="scroll tall" tabindex="0">
            <div class="panels">${panels().map(([by, title, name]) => html`<${Panel} key=${by} by=${by}
            title=${title} name=${name} sort=${sort} again=${again} />`)}</div>
            <section aria-label="Map"><h3>Who talks to whom</h3><${Map_} again=${again} /></section></div>`}`;
}
