// SPDX-License-Identifier: MIT
// The page: what is on it, and the keys.
import {
    html, render, useState, useEffect, useLayoutEffect, useRef, url, go, back, link, get, useUrl, useListen, useAnswer, kept, keep,
    server, tell, range, number, bytes, short, duration, nsOf, plural, many, keyOf, partsOf, selOf, selFilter
} from './core.js';
import { Search, Range, toFilter } from './search.js';
import { Histogram, zoom, pan } from './chart.js';
import { Sessions, current, narrow } from './table.js';
import { Safe, Session } from './session.js';
import { Top, seconds } from './top.js';
import { Files, Sensors, Status, Login, login, Command, Download, Columns, Help, sample } from './pages.js';

const pages = () => [[undefined, 'Sessions'], ['top', 'Top'], many() ? ['sensors', 'Sensors'] : ['files', 'Files'], ['status', 'Status']];
const LARGE = 500000;
const ofKey = (key) => (({ sensor, id }) => ({ ids: id, sensor }))(partsOf(key));

// A one-time token in the fragment is used, and gone from the address before anything else happens
async function enter() {
    const token = new URLSearchParams(location.hash.slice(1)).get('token');
    if (!token) return;
    go({ token: undefined }, true);
    try {
        await login(token);
    } catch {
        // used before: the cookie may do
    }
}

function theme(next) {
    if (next !== undefined) keep('theme', next);
    const now = kept('theme', '');
    if (now) document.documentElement.dataset.theme = now;
    else delete document.documentElement.dataset.theme;
    dispatchEvent(new Event('theme'));
}

const poll = async () => {
    try {
        const status = await get('status');
        const grown = server.status && server.status.index.generation !== status.index.generation;
        if (!server.status || grown || !(poll.count = ((poll.count || 0) + 1) % 5)) status.cluster || sample(status);
        tell({ status, grown: server.grown || grown, trouble: null });
    } catch (error) {
        if (!/away|unauthorized/.test(error.code)) tell({ trouble: error.message }); // those are told by ask()
    }
};

function App() {
    useUrl();
    useListen(server.listeners);
    const [again, setAgain] = useState(0);
    const [dialog, setDialog] = useState(null);
    const [rows, setRows] = useState({});
    const status = server.status, index = status?.index;
    useEffect(() => {
        if (server.problem === 'login') return;
        poll();
        const timer = setInterval(() => document.hidden || poll(), 2000);
        return () => clearInterval(timer);
    }, [server.problem === 'login']);
    const renew = () => {
        tell({ grown: false });
        setAgain(again + 1);
    };
    useEffect(() => {
        if (server.grown && url.live) renew();
    }, [server.grown, url.live]);

    const away = useRef(false);
    useEffect(() => {
        if (away.current && !server.problem) renew();
        away.current = server.problem === 'away';
    }, [server.problem]);

    const all = !url.filter && !url.from && !url.until, whole = all && !many(); // the sums of all are an index's alone to tell
    const onSessions = !url.page && !url.id;
    const by = ['none', 'proto', 'state'].includes(url.by) ? url.by : index && index.sessions > LARGE ? 'none' : 'proto';
    const counted = useAnswer(status && !whole && url.page === 'top' ? 'count' : null, range(), again);
    const histogram = useAnswer(status && onSessions ? 'histogram' : null, { ...range(), by, buckets: narrow.matches ? 100 : 240 }, again);
    const cost = useAnswer(status && index.sessions > LARGE && !whole && onSessions ? 'cost' : null, range(), again);
    const count = whole ? index && { sessions: index.sessions, packets: index.packets, bytes: index.bytes, start: index.start, end: index.end } : onSessions ? histogram.data?.total : counted.data;
    const error = [counted.error, rows.error, histogram.error].find((e) => e && (e.where || e.code === 'filter' || e.code === 'parameter'));
    const chosen = selOf(url.sel);

    const download = (what) => {
        if (what?.ids) setDialog({ download: what });
        else if (url.id) setDialog({ download: { ...ofKey(url.id), what: 'session ' + url.id } });
        else if (chosen.size && what !== 'all') setDialog({ download: { ...(many() ? { filter: selFilter(chosen) } : { ids: url.sel }), what: plural(chosen.size, 'selected session') } });
        else setDialog({ download: { what: all ? 'all sessions' : count ? plural(count.sessions, 'session') : 'what matches', packets: count?.packets, bytes: count?.bytes } });
    };
    // the neighbour in the table's order, where the table was seen; else by ID
    const step = async (by) => {
        const list = [...(current.pages?.loaded || [])].sort((a, b) => a[0] - b[0]).flatMap(([, page]) => page);
        const at = list.findIndex((s) => String(keyOf(s)) === url.id);
        const { sensor, id } = partsOf(url.id);
        const next = at < 0 ? keyOf({ sensor, id: +id + by }) : list[at + by] && keyOf(list[at + by]);
        if (next) go({ id: next, n: undefined }, true);
    };
    const close = () => setDialog(null);

    // in the task of the key before, not behind its frame: what is typed fast is meant for what that key has made
    useLayoutEffect(() => {
        const onKey = (event) => {
            if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || dialog) return;
            if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== 'checkbox') return event.key === 'Escape' && event.target.blur();
            const tab = ['packets', 'stream', 'course', 'near'];
            const keys = {
                '/': () => toFilter() || go({ id: undefined, page: undefined }),
                '?': () => setDialog('help'), c: () => setDialog('command'), d: () => download(), o: () => setDialog('columns'), r: renew, b: back,
                t: () => theme({ '': 'light', light: 'dark', dark: '' }[kept('theme', '')]),
                Escape: () => url.id ? go({ id: undefined, tab: undefined, n: undefined, dir: undefined, as: undefined }) : url.page ? go({ page: undefined }) : url.sel && go({ sel: undefined }, true),
                z: () => count?.start && go({ from: count.start, until: count.end }), a: () => go({ from: undefined, until: undefined }),
                i: () => zoom(histogram.data, 0.5), u: () => zoom(histogram.data, 2), '<': () => pan(histogram.data, -0.25), '>': () => pan(histogram.data, 0.25),
                '[': () => url.id && step(-1), ']': () => url.id && step(1),
            };
            for (let i = 0; i < 4; i++) keys[i + 1] = () => url.id ? go({ tab: i ? tab[i] : undefined }, true) : go({ page: pages()[i][0] });
            const act = keys[event.key];
            if (act) act();
            else if (/^(BUTTON|A|SUMMARY)$/.test(event.target.tagName) && /^(Enter| )$/.test(event.key)) return;
            else if (url.id) {
                const list = document.querySelector('.list.packets');
                if (!list || !/^[jk]$|^Arrow(Up|Down)$/.test(event.key)) return;
                list.dispatchEvent(new KeyboardEvent('keydown', { key: event.key, bubbles: false }));
            } else if (!onSessions || !current.move?.(event)) return;
            event.preventDefault();
        };
        addEventListener('keydown', onKey);
        return () => removeEventListener('keydown', onKey);
    });
    useEffect(() => {
        document.title = (url.id ? `Session ${url.id}` : url.filter || (pages().find(([p]) => p === url.page) || pages()[0])[1]) + ' – flowcarve';
    });

    if (server.problem === 'login') return html`<${Login} />`;
    const dear = histogram.busy && cost.data?.scan && cost.data.reads > LARGE;
    return html`<header class="top"><a class="brand" href=${link({ page: undefined, id: undefined })} aria-label="flowcarve: sessions">
        <b>flow</b>carve</a>
            <nav aria-label="Pages">${pages().map(([page, name]) => html`<a href=${link({ page, id: undefined, tab: undefined, n: undefined })} aria-current=${url.page === page ? 'page' : undefined}>${name}</a>`)}</nav>
            <span class="push"></span>
            ${server.problem === 'away' && html`<b class="badge bad" role="alert">the server does not answer: trying again</b>`}
            ${server.trouble && server.problem !== 'away' && html`<b class="badge bad" role="alert" title=${server.trouble}>${server.trouble}</b>`}
            ${server.grown && !url.live && html`<button onClick=${renew} role="status">The index has grown: show it</button>`}
            <label class="live"><input type="checkbox" checked=${!!url.live}
                onChange=${(e) => go({ live: e.target.checked ? 1 : undefined }, true)} /> live</label>
            <span class="where" title=${index?.path}>${index ? index.path.split('/').pop() : ''}</span>
            <button class="icon" onClick=${() => theme({ '': 'light', light: 'dark', dark: '' }[kept('theme', '')])}
                aria-label="Light or dark (t)" title="Light, dark, as the system (t)">◐</button>
            <button class="icon" onClick=${() => setDialog('help')} aria-label="Help (?)" title="Help (?)">?</button></header>
        <main>
        ${url.id ? html`<${Safe} key=${url.id}><${Session} onDownload=${download} step=${step} /></${Safe}>`
        : url.page === 'files' && !many() ? html`<${Files} again=${again} />` : url.page === 'sensors' && many() ? html`<${Sensors} />` : url.page === 'status' ? html`<${Status} />`
        : html`<${Search} error=${error} onCommand=${() => setDialog('command')} /><${Range} count=${count} error=${error} />
            ${url.page === 'top' ? html`<${Top} again=${again} />` : html`<${Histogram} answer=${histogram} by=${by} height=${narrow.matches ? 110 : 132} />
            <div class="bar totals" role="status">${count ? html`<b>${plural(count.sessions, 'session')}</b>
                <span>${plural(count.packets, 'packet')}</span><span title=${number(count.bytes) + ' bytes'}>${bytes(count.bytes)}</span>
                    ${count.start && html`<span title="From the first packet to the last">${duration(Number(nsOf(count.end) - nsOf(count.start)) / 1e9)}</span>`}` : html`<span class="dim">${error ? '' : histogram.error ? histogram.error.message : server.trouble ? '' : 'counting…'}</span>`}
                ${dear && html`<span class="dim">reads ${short(cost.data.reads)} sessions, about ${seconds(cost.data.reads)}…</span>`}
                <span class="push"></span><button onClick=${() => setDialog('columns')}>Columns…</button><button class="main"
                    onClick=${() => download()} disabled=${!count?.sessions}>Download${chosen.size ? ' selected' : ''}…</button></div>
            <div class=${rows.busy ? 'table busy' : 'table'}>${status && html`<${Sessions} total=${count?.sessions} again=${again}
                onRows=${(pages) => ((current.pages = pages), setRows({ error: pages.error, busy: pages.busy }))} />`}</div>`}`}
        </main>
        ${dialog === 'help' && html`<${Help} onClose=${close} />`}${dialog === 'command' && html`<${Command}
            onClose=${close} />`}${dialog === 'columns' && html`<${Columns} onClose=${close} />`}
        ${dialog?.download && html`<${Download} what=${dialog.download} onClose=${close} />`}`;
}

theme();
if (!url.tz && kept('tz', 'UTC') !== 'UTC') go({ tz: kept('tz') }, true);
enter().then(() => render(html`<${App} />`, document.getElementById('app')));
addEventListener('hashchange', () => new URLSearchParams(location.hash.slice(1)).has('token') && enter());
