// SPDX-License-Identifier: MIT
// Lists that draw only what is seen of them, and the table of sessions.
import {
    html, useState, useEffect, useLayoutEffect, useRef, useMemo, url, go, link, get, range, kept, keep, number, bytes,
    duration, timeOf, nsOf, isoOf, zone, endpoint, addFilter, hostFilter, plural, server, many, keyOf, selText, selOf
} from './core.js';

const TALLEST = 8e6; // px; browsers draw no higher element than some 17e6
export const narrow = matchMedia('(max-width: 700px)');

// Rows that come in pages of `size`, asked for when seen; row(i) is undefined while its page is on its way. Those of the question
// before (another `key`) stay until the first page of the new one is here.
export function usePages(size, load, key) {
    const [, again] = useState();
    const store = useRef({});
    if (store.current.key !== key) {
        const { stop, pages, old } = store.current;
        stop?.abort();
        store.current = { key, pages: new Map(), asked: new Set(), stop: new AbortController(), old: pages?.size ? pages : old };
    }
    const mine = store.current;
    useEffect(() => () => store.current.stop.abort(), []);
    const want = async (i) => {
        if (mine.asked.has(i)) return;
        mine.asked.add(i);
        try {
            mine.pages.set(i, await load(i, mine));
            mine.error = null;
        } catch (error) {
            if (error.name === 'AbortError') return;
            mine.error = error;
            if (/away|busy/.test(error.code)) setTimeout(() => mine.asked.delete(i), 1000);
        }
        mine.old = null;
        if (store.current === mine) again({});
    };
    const shown = mine.old || mine.pages;
    const row = (i) => {
        const page = Math.floor(i / size);
        if (i >= 0 && !mine.old) want(page);
        return shown.get(page)?.[i % size];
    };
    return { row, want, busy: !!mine.old, loaded: shown, first: shown.get(0), error: mine.error, answer: mine.answer };
}

// `count` rows of `tall` px. draw(i) makes row i. `current`: the row that is kept in view. Where all rows are higher than an element can be, the bar of the browser
// stands for all of them, and small steps move by rows.
export function List({ count, tall, draw, current, label, head, onKeyDown, id, grid, active, name }) {
    const box = useRef();
    const [top, setTop] = useState(0); // in rows, with a fraction
    const [room, setRoom] = useState(20);
    const [wide, setWide] = useState(0);
    const was = useRef({ at: 0, top: 0 });
    const headTall = head ? 26 : 0;
    const all = count * tall, high = Math.min(all, TALLEST), scale = all > TALLEST;
    const most = Math.max(0, count - (room - headTall / tall));
    const move = (to) => {
        to = Math.max(0, Math.min(most, to));
        was.current.top = to;
        setTop(to);
        const at = scale ? (most ? to / most : 0) * (high + headTall - box.current.clientHeight) : to * tall;
        if (Math.abs(box.current.scrollTop - at) > 1) box.current.scrollTop = was.current.at = at;
    };
    const scroll = () => {
        const at = box.current.scrollTop, step = at - was.current.at;
        setWide(box.current.scrollLeft);
        if (!step) return;
        was.current.at = at;
        const end = high + headTall - box.current.clientHeight;
        if (!scale) return setTop((was.current.top = at / tall));
        if (Math.abs(step) > 1500) return setTop((was.current.top = (at / end) * most));
        const to = Math.max(0, Math.min(most, was.current.top + step / tall));
        was.current.top = to;
        setTop(to);
        if ((at <= 0 && to > 0) || (at >= end && to < most)) box.current.scrollTop = was.current.at = (to / most) * end;
    };
    useLayoutEffect(() => {
        const size = () => box.current && setRoom(box.current.clientHeight / tall);
        size();
        const watch = new ResizeObserver(size);
        watch.observe(box.current);
        return () => watch.disconnect();
    }, [tall]);
    useLayoutEffect(() => {
        if (current === undefined || current < 0) return;
        const seen = room - headTall / tall;
        if (current < top) move(current);
        else if (current > top + seen - 1) move(current - seen + 1);
    }, [current]);
    useLayoutEffect(() => {
        if (top > most) move(most);
    }, [count]);
    const first = Math.max(0, Math.floor(top) - 4), end = Math.min(count, Math.ceil(top + room) + 4);
    const rows = [];
    const base = scale ? was.current.at - (top - Math.floor(top)) * tall - (Math.floor(top) - first) * tall : first * tall;
    for (let i = first; i < end; i++) rows.push(draw(i, headTall + base + (i - first) * tall));
    return html`<div class=${'list ' + (name || '')} ref=${box} onScroll=${scroll} tabindex="0" role=${grid ? 'grid' : 'listbox'}
        aria-label=${label} aria-rowcount=${grid ? count + 1 : undefined}
        aria-activedescendant=${active} onKeyDown=${onKeyDown} id=${id}>
        ${head}<div class="all" role="presentation" style=${{ height: high + headTall + 'px' }}>${rows}</div>
    </div>`;
}

// --- columns of sessions ---
const both = (name, label, width, text, more) => ['client', 'server'].map((side) => ({ key: `${side}_${name}`, label: `${side === 'client' ? 'Client' : 'Server'} ${label}`, width, text: (s) => text(s[`${side}_${name}`]), ...more(side) }));
const plain = (v) => (v === null || v === undefined ? '' : String(v));
const equal = (words) => (s, key) => (s[key] === null ? null : `${words} ${s[key]}`);
const FLAGS = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr'];
const flagList = (v) => (typeof v === 'number' ? FLAGS.filter((_, i) => (v >> i) & 1) : []);
const PORTS = /^(tcp|udp|udplite|sctp|dccp)$/; // of others they are types
const right = { align: 'right' };
export const COLUMNS = [
    { key: 'sensor', label: 'Sensor', width: 84, text: (s) => plain(s.sensor), filter: (s) => s.sensor && `sensor ${s.sensor}`, of: 'many' },
    { key: 'id', label: 'ID', width: 72, text: (s) => String(s.id), filter: (s) => (many() ? `sensor ${s.sensor} and id ${s.id}` : `id ${s.id}`), ...right },
    { key: 'start', label: 'Start', width: 206, text: (s) => timeOf(s.start), zoned: true },
    { key: 'end', label: 'End', width: 206, text: (s) => timeOf(s.end), zoned: true },
    { key: 'duration', label: 'Duration', width: 88, text: (s) => duration(s.duration), filter: (s) => s.duration && `duration at least ${s.duration < 1 ? s.duration.toFixed(9) : Math.floor(s.duration * 1e3) / 1e3}s`, ...right },
    { key: 'proto', label: 'Proto', width: 62, text: (s) => plain(s.proto), filter: equal('proto') },
    { key: 'client_addr', label: 'Client', width: 180, text: (s) => plain(s.client_addr), filter: (s) => hostFilter(s.client_addr, 'client') },
    { key: 'client_port', label: 'Port', about: 'Client port', width: 62, text: (s) => plain(s.client_port), filter: (s) => PORTS.test(s.proto) && `client port ${s.client_port}`, ...right },
    { key: 'server_addr', label: 'Server', width: 180, text: (s) => plain(s.server_addr), filter: (s) => hostFilter(s.server_addr, 'server') },
    { key: 'server_port', label: 'Port', about: 'Server port', width: 62, text: (s) => plain(s.server_port), filter: (s) => PORTS.test(s.proto) && `server port ${s.server_port}`, ...right },
    { key: 'packets', label: 'Packets', width: 86, text: (s) => number(s.packets), filter: (s) => `packets at least ${s.packets}`, ...right },
    { key: 'bytes', label: 'Bytes', width: 86, text: (s) => bytes(s.bytes), filter: (s) => `bytes at least ${s.bytes}`, ...right },
    { key: 'state', label: 'State', width: 98, text: (s) => plain(s.state), filter: equal('state') },
    ...both('packets', 'packets', 110, number, (side) => ({ filter: (s) => `${side} packets at least ${s[side + '_packets']}`, ...right })),
    ...both('bytes', 'bytes', 104, bytes, (side) => ({ filter: (s) => `${side} bytes at least ${s[side + '_bytes']}`, ...right })),
    { key: 'vlan', label: 'VLAN', width: 70, text: (s) => plain(s.vlan), filter: (s) => s.vlan !== null && `vlan ${/\d+/.exec(s.vlan)}`, needs: 'vlan' },
    { key: 'mpls', label: 'MPLS', width: 70, text: (s) => plain(s.mpls), filter: (s) => s.mpls !== null && `mpls ${/\d+/.exec(s.mpls)}`, needs: 'mpls' },
    { key: 'tunnel', label: 'Tunnel', width: 110, text: (s) => plain(s.tunnel), filter: (s) => s.tunnel && `tunnel ${s.tunnel.split('/')[0]}`, needs: 'tunnel' },
    ...both('mac', 'MAC', 140, plain, (side) => ({ needs: 'mac', filter: (s) => hostFilter(s[side + '_mac'], side) })),
    ...both('ttl', 'TTL', 82, plain, (side) => ({ needs: 'ttl', filter: (s) => s[side + '_ttl'] !== null && `${side} ttl ${s[side + '_ttl']}`, ...right })),
    ...both('dscp', 'DSCP', 90, plain, () => ({ needs: 'dscp', ...right })),
    ...both('tcp_flags', 'flags', 150, (v) => (typeof v === 'number' ? flagList(v).join(' ') : plain(v)), (side) => ({ needs: 'tcp-flags', filter: (s) => flagList(s[side + '_tcp_flags']).length && `${side} flags ${flagList(s[side + '_tcp_flags']).join(',')}` })),
    ...both('isn', 'ISN', 110, plain, () => ({ needs: 'isn', ...right })),
    ...both('payload', 'payload', 112, bytes, (side) => ({ needs: 'payload', filter: (s) => s[side + '_payload'] !== null && `${side} payload at least ${s[side + '_payload']}`, ...right })),
    { key: 'community_id', label: 'Community ID', width: 270, text: (s) => plain(s.community_id), filter: (s) => s.community_id && `community-id ${s.community_id}` },
    { key: 'files', label: 'Files', width: 200, text: (s) => (s.files || []).map((f) => f.path.split('/').pop()).join(', '), unsorted: true, of: 'one' },
];
const USUAL = 'start,duration,proto,client_addr,client_port,server_addr,server_port,packets,bytes,state';
const kind = () => (many() ? 'cols.many' : 'cols');
const usual = () => (many() ? 'sensor,' : '') + USUAL;
const byKey = new Map(COLUMNS.map((column) => [column.key, column]));
const isThere = (c) => (!c.needs || server.status?.index.fields.includes(c.needs)) && (!c.of || many() === (c.of === 'many'));
export const offered = () => COLUMNS.filter(isThere);
// The columns of the URL, else of this browser, else ours: start:190,proto
export function columns() {
    const list = (url.cols || kept(kind(), usual())).split(',').map((word) => {
        const [key, width] = word.split(':');
        return byKey.has(key) && { ...byKey.get(key), width: Math.max(40, Math.min(900, +width || byKey.get(key).width)) };
    });
    const known = list.filter((c) => c && isThere(c));
    return known.length ? known : usual().split(',').map((key) => byKey.get(key));
}
export function setColumns(list) {
    const text = list.map((c) => (c.width === byKey.get(c.key).width ? c.key : `${c.key}:${Math.round(c.width)}`)).join(',');
    keep(kind(), text);
    go({ cols: text === usual() ? undefined : text }, true);
}

// What a click on a value offers
export function ValueMenu({ menu, onClose }) {
    const { session, column, x, y } = menu;
    const box = useRef();
    useLayoutEffect(() => {
        const back = document.activeElement;
        box.current.querySelector('button,a').focus();
        return () => back?.focus?.();
    }, []);
    useLayoutEffect(() => {
        const { offsetWidth, offsetHeight } = box.current;
        box.current.style.left = Math.max(4, Math.min(x, innerWidth - offsetWidth - 8)) + 'px';
        box.current.style.top = (y + offsetHeight > innerHeight - 8 ? y - offsetHeight - 26 : y) + 'px';
    });
    const condition = column.filter?.(session, column.key), text = column.text(session);
    const items = [];
    if (condition) {
        items.push(['Only ', condition, () => addFilter(condition)], ['Exclude ', condition, () => addFilter(condition, true)]);
        items.push(['New search ', condition, () => go({ filter: condition, sel: undefined })]);
    }
    if (/^(client|server)_addr$/.test(column.key) && session[column.key]) {
        const either = hostFilter(session[column.key]);
        items.push(['Either end ', either, () => addFilter(either)]);
    }
    if (column.key === 'start' || column.key === 'end') {
        const time = session[column.key];
        if (time) {
            items.push(['From here on', '', () => go({ from: time, sel: undefined })], ['Until here', '', () => go({ until: time, sel: undefined })]);
            items.push(['10 s around it', '', () => go({ from: isoOf(nsOf(time) - 10000000000n), until: isoOf(nsOf(time) + 10000000000n), sel: undefined })]);
        }
    }
    items.push(['Copy ', text.length > 40 ? text.slice(0, 39) + '…' : text, () => navigator.clipboard?.writeText(text)]);
    items.push([`Open session ${session.id}`, '', () => go({ id: keyOf(session) })]);
    const step = (event) => {
        const list = [...box.current.querySelectorAll('button')], i = list.indexOf(document.activeElement);
        if (event.key === 'Escape' || event.key === 'Tab') onClose();
        else if (event.key === 'ArrowDown' || event.key === 'j') list[(i + 1) % list.length].focus();
        else if (event.key === 'ArrowUp' || event.key === 'k') list[(i + list.length - 1) % list.length].focus();
        else return;
        event.preventDefault();
        event.stopPropagation();
    };
    return html`<div class="veil" onMouseDown=${onClose}></div><div class="menu choose" role="menu" ref=${box} onKeyDown=${step}
        aria-label="Value">
        ${items.map(([word, code, act]) => html`<button role="menuitem"
            onClick=${() => (onClose(), act())}>${word}${code && html`<code>${code}</code>`}</button>`)}</div>`;
}

const PAGE = 100;
const EXTRA = ['id', 'start', 'end', 'duration', 'proto', 'client_addr', 'client_port', 'server_addr', 'server_port', 'packets', 'bytes', 'state'];

export const current = { row: 0, session: null, move: null };
export function Sessions({ total, again, onRows }) {
    const list = columns();
    const asked = [...new Set([...(many() ? ['sensor'] : []), ...EXTRA, ...list.map((c) => c.key)])].join(',');
    const params = { ...range(), sort: url.sort, columns: asked };
    const key = JSON.stringify([params, again]);
    const load = async (i, mine) => {
        mine.cursors ??= new Map();
        const at = mine.cursors.get(i);
        const place = i === 0 ? {} : at ? { cursor: at } : { offset: i * PAGE };
        const answer = await get('sessions', { ...params, ...place, limit: PAGE }, mine.stop.signal);
        if (answer.cursor) mine.cursors.set(i + 1, answer.cursor);
        if (!answer.more) mine.end = i * PAGE + answer.sessions.length;
        return answer.sessions;
    };
    const pages = usePages(PAGE, load, key);
    pages.want(0);
    useLayoutEffect(() => onRows?.(pages), [pages.first, pages.error, pages.busy]);
    const [row, setRow] = useState(0);
    const [cell, setCell] = useState(-1);
    const [menu, setMenu] = useState(null);
    const anchor = useRef(0);
    const [known, setKnown] = useState(new Map()); // selected sessions that were seen here
    const chosen = useMemo(() => selOf(url.sel), [url.sel]);
    useLayoutEffect(() => setRow(0), [key]);
    const count = pages.first && pages.first.length < PAGE ? pages.first.length : Math.max(total ?? 0, ...[...pages.loaded].map(([i, p]) => i * PAGE + p.length));
    const at = Math.min(row, Math.max(0, count - 1));
    current.session = pages.busy ? undefined : pages.loaded.get(Math.floor(at / PAGE))?.[at % PAGE];

    const select = (ids, on) => {
        const next = new Set(chosen);
        ids.forEach((s) => (on ? next.add(keyOf(s)) : next.delete(keyOf(s))));
        setKnown(new Map([...known, ...ids.map((s) => [keyOf(s), s])]));
        go({ sel: selText(next) || undefined }, true);
    };
    const toggle = (i, extend) => {
        const s = pages.row(i);
        if (!s) return;
        if (extend) {
            const rows = [];
            for (let r = Math.min(i, anchor.current); r <= Math.max(i, anchor.current); r++) if (pages.row(r)) rows.push(pages.row(r));
            select(rows, true);
        } else select([s], !chosen.has(keyOf(s)));
        anchor.current = i;
    };
    const openMenu = (session, column, element) => {
        const place = element.getBoundingClientRect();
        setMenu({ session, column, x: place.left, y: place.bottom + 2 });
    };
    current.move = (event) => {
        const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -count, End: count, g: -count, G: count }[event.key];
        if (step) setRow(Math.max(0, Math.min(count - 1, at + step)));
        else if (event.key === 'Enter' && current.session) cell < 0 ? go({ id: keyOf(current.session) }) : openMenu(current.session, list[cell], document.querySelector('.row.on .cell.on') || document.body);
        else if (event.key === 'x' || event.key === ' ') toggle(at);
        else if (event.key === 'X') toggle(at, true);
        else if (event.key === 'l' || event.key === 'ArrowRight') setCell(Math.min(list.length - 1, cell + 1));
        else if (event.key === 'h' || event.key === 'ArrowLeft') setCell(Math.max(-1, cell - 1));
        else if ((event.key === '+' || event.key === '-') && cell >= 0 && current.session) {
            const condition = list[cell].filter?.(current.session, list[cell].key);
            if (condition) addFilter(condition, event.key === '-');
        } else return false;
        return true;
    };
    const [sortKey, sortWay] = (url.sort || (many() ? 'start' : 'id')).split(':');
    const sort = (c) => {
        if (c.unsorted) return;
        const numeric = c.align === 'right' && c.key !== 'id';
        const next = sortKey !== c.key ? (numeric ? c.key + ':desc' : c.key) : numeric === (sortWay === 'desc') ? (numeric ? c.key : c.key + ':desc') : undefined;
        go({ sort: next });
    };
    const resize = (i, width) => setColumns(list.map((c, k) => (k === i ? { ...c, width } : c)));
    const grip = (i) => (event) => {
        event.preventDefault();
        event.stopPropagation();
        const from = event.clientX, width = list[i].width, grip = event.target;
        grip.setPointerCapture(event.pointerId);
        grip.onpointermove = (e) => resize(i, Math.max(40, width + e.clientX - from));
        grip.onpointerup = () => (grip.onpointermove = grip.onpointerup = null);
    };
    const fit = (i) => {
        const texts = [...pages.loaded.values()].flat().slice(0, 1000).map((s) => list[i].text(s).length);
        resize(i, Math.max(46, 7.6 * Math.max(list[i].label.length + 2, ...texts) + 18));
    };
    const slim = narrow.matches;
    const template = '30px ' + list.map((c) => c.width + 'px').join(' ') + ' 1fr';
    const wide = 30 + list.reduce((sum, c) => sum + c.width, 0);
    const head = !slim && html`<div class="head" role="row" aria-rowindex="1" style=${{ gridTemplateColumns: template, minWidth: wide + 'px' }}>
        <span role="columnheader" aria-label="Selected"></span>
        ${list.map((c, i) => html`<span key=${c.key} role="columnheader" class=${c.align || ''}
            aria-sort=${sortKey === c.key ? (sortWay ? 'descending' : 'ascending') : 'none'}>
            <button onClick=${() => sort(c)} title=${(c.about || c.label) + (c.unsorted ? '' : ': sort') + '; Shift+← → resizes'}
                onKeyDown=${(event) => event.shiftKey && /^Arrow(Left|Right)$/.test(event.key) && (event.stopPropagation(), event.preventDefault(), resize(i, Math.max(40, c.width + (event.key === 'ArrowLeft' ? -10 : 10))))}
                >${c.label}${c.zoned ? html` <i>${zone() === 'UTC' ? 'UTC' : zone().split('/').pop()}</i>` : ''}${sortKey === c.key && url.sort ? (sortWay ? ' ▾' : ' ▴') : ''}</button>
            <b class="grip" onPointerDown=${grip(i)} onDblClick=${() => fit(i)} aria-hidden="true"></b></span>`)}</div>`;
    const draw = (i, y) => {
        const s = pages.row(i);
        const cls = 'row' + (i === at ? ' on' : '') + (s && chosen.has(keyOf(s)) ? ' chosen' : '') + (i % 2 ? ' odd' : '');
        const rest = { key: i, id: 'row-' + i, role: 'row', 'aria-rowindex': i + 2, 'aria-selected': !!(s && chosen.has(keyOf(s))), class: cls };
        if (!s) return html`<div ...${rest} style=${{ top: y + 'px' }}><span class="cell dim">…</span></div>`;
        const box = html`<span role="gridcell" class="cell tick" onClick=${(event) => (event.stopPropagation(), toggle(i, event.shiftKey))}>
            <input type="checkbox" tabindex="-1" checked=${chosen.has(keyOf(s))} aria-label=${'Select session ' + s.id} /></span>`;
        if (slim) return html`<div ...${rest} style=${{ top: y + 'px' }} onClick=${() => go({ id: keyOf(s) })}>${box}
            <p role="gridcell"><b>${s.proto}</b> ${endpoint(s.client_addr, s.client_port)} → ${endpoint(s.server_addr, s.server_port)}</p>
            <p role="gridcell" class="dim">${many() ? s.sensor + ' · ' : ''}${timeOf(s.start, 0).slice(5)} · ${duration(s.duration)} · ${bytes(s.bytes)} · ${s.state}</p>
                </div>`;
        return html`<div ...${rest} style=${{ top: y + 'px', gridTemplateColumns: template, minWidth: wide + 'px' }}
            onClick=${() => setRow(i)} onDblClick=${() => go({ id: keyOf(s) })}>
            ${box}${list.map((c, k) => {
                const text = c.text(s);
                return html`<span key=${c.key} role="gridcell" class=${'cell ' + (c.align || '') + (i === at && k === cell ? ' on' : '')}>${
                    c.key === 'id' ? html`<a href=${link({ id: keyOf(s) })} tabindex="-1">${text}</a>`
                    : text === '' ? html`<span class="none">–</span>`
                    : html`<button class=${'value' + (c.key === 'state' ? ' s-' + s.state : '')} tabindex="-1" title=${c.zoned ? timeOf(s[c.key], 9) + ' ' + zone() : text}
                        onClick=${(event) => (event.stopPropagation(), setRow(i), setCell(k), openMenu(s, c, event.currentTarget))}>${text}</button>`}</span>`;
            })}</div>`;
    };
    const picked = [...known.values()].filter((s) => chosen.has(keyOf(s)));
    const sums = picked.length === chosen.size ? ` · ${plural(picked.reduce((n, s) => n + s.packets, 0), 'packet')} · ${bytes(picked.reduce((n, s) => n + s.bytes, 0))}` : '';
    return html`<${List} count=${count} tall=${slim ? 46 : 24} draw=${draw} current=${row} head=${head} grid label="Sessions" id="sessions" active=${'row-' + at} name="sessions" key=${slim}
            onKeyDown=${(event) => event.target.tagName !== 'INPUT' && !event.ctrlKey && !event.metaKey && !event.altKey && event.target.closest('.head') === null && current.move(event) && (event.preventDefault(), event.stopPropagation())} />
        ${pages.first && !count && html`<p class="empty">Nothing matches. ${url.from || url.until ? 'The range of time may be too narrow: ' : ''}${(url.from || url.until) && html`<button onClick=${() => go({ from: undefined, until: undefined })}>All times</button>`}</p>`}
        ${chosen.size > 0 && html`<p class="chosen" role="status">${plural(chosen.size, 'session')} selected${sums} <button
            onClick=${() => go({ sel: undefined }, true)}>Clear</button></p>`}
        ${menu && html`<${ValueMenu} menu=${menu} onClose=${() => setMenu(null)} />`}`;
}

export function ColumnDialog() {
    const list = columns();
    const on = new Set(list.map((c) => c.key));
    const shift = (i, by) => {
        const next = [...list];
        const [column] = next.splice(i, 1);
        next.splice(i + by, 0, column);
        setColumns(next);
    };
    return html`<p class="dim">Kept in this browser, and in the link.</p><ul class="columns">
        ${list.map((c, i) => html`<li key=${c.key}><label><input type="checkbox" checked disabled=${list.length < 2}
            onChange=${() => setColumns(list.filter((x) => x.key !== c.key))} /> ${c.about || c.label}</label>
            <button class="icon" aria-label=${`${c.label} up`} disabled=${!i} onClick=${() => shift(i, -1)}>↑</button>
                <button class="icon" aria-label=${`${c.label} down`} disabled=${i === list.length - 1}
                onClick=${() => shift(i, 1)}>↓</button></li>`)}
        ${offered().filter((c) => !on.has(c.key)).map((c) => html`<li key=${c.key}><label><input type="checkbox" checked=${false}
            onChange=${() => setColumns([...list, c])} /> ${c.about || c.label}</label></li>`)}
    </ul><button onClick=${() => (keep(kind(), usual()), go({ cols: undefined }, true))}>As at first</button>`;
}
