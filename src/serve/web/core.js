// SPDX-License-Identifier: MIT
// What all of the page shares: state in the URL, questions to the server, words for numbers and times.
import { html, render, useState, useEffect, useLayoutEffect, useRef, useMemo } from './vendor/preact-htm.js';
export { html, render, useState, useEffect, useLayoutEffect, useRef, useMemo };

// --- state: what the URL's fragment says, which no server sees ---
const readUrl = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const listeners = new Set();
export let url = readUrl();
export function link(patch) {
    const next = new URLSearchParams();
    for (const [key, value] of Object.entries({ ...url, ...patch }))
        if (value !== undefined && value !== null && value !== '') next.set(key, value);
    return '#' + next;
}
const depth = () => history.state?.depth || 0;
export const back = () => depth() && history.back(); // never off this page
// Changes some of the state; undefined takes a key away. A step of its own in the browser's history unless `replace`.
export function go(patch, replace) {
    const hash = link(patch);
    if (hash !== (location.hash || '#')) replace ? history.replaceState(history.state, '', hash) : history.pushState({ depth: depth() + 1 }, '', hash);
    changed();
}
function changed() {
    url = readUrl();
    listeners.forEach((listen) => listen({}));
}
addEventListener('popstate', changed);
export function useListen(set) {
    const [, again] = useState();
    useLayoutEffect(() => {
        set.add(again);
        return () => set.delete(again);
    }, []);
}
export const useUrl = () => useListen(listeners);

// --- what this browser keeps: columns, zone, history, saved filters ---
export function kept(key, other) {
    try {
        return JSON.parse(localStorage.getItem('flowcarve.' + key)) ?? other;
    } catch {
        return other;
    }
}
export function keep(key, value) {
    try {
        localStorage.setItem('flowcarve.' + key, JSON.stringify(value));
    } catch {
        // a browser that keeps nothing: the page works without
    }
}

// --- the server ---
export const server = { status: null, problem: null, listeners: new Set() };
export function tell(patch) {
    Object.assign(server, patch);
    server.listeners.forEach((listen) => listen({}));
}
export function query(params) {
    const words = new URLSearchParams();
    for (const [key, value] of Object.entries(params))
        if (value !== undefined && value !== null && value !== '') words.set(key, value);
    return words.size ? '?' + words : '';
}
export async function failure(response) {
    let error;
    try {
        error = (await response.json()).error;
    } catch {
        error = { code: 'internal', message: `the server answered ${response.status}` };
    }
    if (response.status === 401) tell({ problem: 'login' });
    return Object.assign(new Error(error.message), error);
}
export async function ask(path, params = {}, signal, options) {
    let response;
    try {
        response = await fetch('/v1/' + path + query(params), { signal, ...options });
    } catch (error) {
        if (error.name === 'AbortError') throw error;
        tell({ problem: server.problem || 'away' });
        throw Object.assign(new Error('the server does not answer'), { code: 'away' });
    }
    if (!response.ok) throw await failure(response);
    if (server.problem) tell({ problem: null });
    return response;
}
export async function get(path, params, signal) {
    const response = await ask(path, params, signal);
    try {
        return await response.json();
    } catch (error) {
        if (error.name === 'AbortError') throw error;
        throw new Error('the answer broke off, or is none');
    }
}

// The answer to a question: {data, error, busy}. The answer before stays until the next is here. path null: no question.
export function useAnswer(path, params = {}, again = 0) {
    const key = path && path + query(params);
    const [answer, set] = useState({});
    useLayoutEffect(() => {
        if (!key) return set({});
        const stop = new AbortController();
        set((before) => ({ ...before, busy: true }));
        get(path, params, stop.signal).then(
            (data) => set({ data, key }),
            (error) => error.name === 'AbortError' || set({ error, key })
        );
        return () => stop.abort();
    }, [key, again]);
    return answer;
}
export const range = () => ({ filter: url.filter, from: url.from, until: url.until });

// --- numbers ---
export const number = (n) => (n === null || n === undefined ? '' : n.toLocaleString('en-US'));
const scaled = (n, units, step) => {
    let i = 0;
    while (n >= step * 0.9995 && i < units.length - 1) (n /= step), i++;
    return (i && n < 99.95 ? n.toFixed(n < 9.995 ? 2 : 1) : Math.round(n)) + units[i];
};
export const bytes = (n) => (n === null || n === undefined ? '' : scaled(n, [' B', ' kB', ' MB', ' GB', ' TB', ' PB'], 1000));
export const short = (n) => scaled(n, ['', 'k', 'M', 'G', 'T'], 1000);
export const plural = (n, word) => `${number(n)} ${word}${n === 1 ? '' : 's'}`;
export function duration(s) {
    if (s === null || s === undefined) return '';
    if (s === 0) return '0 s';
    if (s < 1e-6) return Math.round(s * 1e9) + ' ns';
    if (s < 1e-3) return +(s * 1e6).toFixed(s < 1e-4 ? 2 : 1) + ' µs';
    if (s < 1) return +(s * 1e3).toFixed(s < 0.1 ? 2 : 1) + ' ms';
    if (s < 60) return +s.toFixed(3) + ' s';
    const parts = [[31557600, 'y'], [86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
    const i = parts.findIndex(([unit]) => s >= unit);
    const big = Math.floor(s / parts[i][0]);
    const rest = i < 4 ? Math.floor((s - big * parts[i][0]) / parts[i + 1][0]) : 0;
    return `${number(big)} ${parts[i][1]}` + (rest ? ` ${rest} ${parts[i + 1][1]}` : '');
}

// --- times: ns since 1970 as BigInt, or the server's text, which has nine digits ---
export const zone = () => url.tz || 'UTC';
const clocks = {};
const clock = (tz) =>
    (clocks[tz] ??= new Intl.DateTimeFormat('en-GB', {
        timeZone: tz, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
    }));
export function nsOf(text) {
    const m = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text || '');
    const ms = m && Date.parse(`${m[1]}T${m[2]}Z`);
    return m && !isNaN(ms) ? BigInt(ms) * 1000000n + BigInt((m[3] || '').padEnd(9, '0')) : null;
}
const secondsOf = (ns) => (ns >= 0n ? ns / 1000000000n : (ns - 999999999n) / 1000000000n);
export function isoOf(ns) {
    const s = secondsOf(ns);
    return new Date(Number(s) * 1000).toISOString().slice(0, -5) + '.' + String(ns - s * 1000000000n).padStart(9, '0') + 'Z';
}
// 2024-05-31 10:00:00 in the zone of the page, with so many digits of the fraction
export function timeOf(time, digits = 6, tz = zone()) {
    if (time === null || time === undefined) return '';
    const iso = typeof time === 'bigint' ? isoOf(time) : time;
    let text = iso.slice(0, 19).replace('T', ' ');
    if (tz !== 'UTC') {
        const part = {};
        for (const p of clock(tz).formatToParts(Date.parse(iso.slice(0, 19) + 'Z'))) part[p.type] = p.value;
        text = `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second}`;
    }
    return digits ? text + iso.slice(19, 20 + digits) : text;
}
// How far the zone is from UTC at a time, in ns
export const offsetOf = (ns) =>
    zone() === 'UTC' ? 0n : (nsOf(timeOf(ns, 0).replace(' ', 'T') + 'Z') ?? 0n) - secondsOf(ns) * 1000000000n;
// What was typed as a time: without a zone it is one of the page's; else it is the server's to read.
export function typedTime(text) {
    text = text.trim();
    const m = /^(\d{4}-\d\d)(?:(-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(\.\d{1,9})?)?)?$/.exec(text);
    const local = m && nsOf(`${m[1]}${m[2] || '-01'}T${m[3] || '00:00'}${m[4] || ':00'}${m[5] || ''}Z`);
    if (local === null || local === undefined || !m) return text;
    return isoOf(local - offsetOf(local - offsetOf(local)));
}
export function shownTime(text) {
    const ns = nsOf(text);
    return ns === null ? text || '' : timeOf(ns, 9).replace(/\.?0+$/, (end) => (end[0] === '.' ? '' : ''));
}

// --- filters ---
export function joined(condition, not) {
    const before = (url.filter || '').trim();
    const wrapped = /\bor\b|\|\||#/.test(before) ? `(${before}${before.includes('#') ? '\n' : ''})` : before;
    if (not) condition = /\b(and|or)\b/.test(condition) ? `not (${condition})` : 'not ' + condition;
    return wrapped ? `${wrapped} and ${condition}` : condition;
}
export const addFilter = (condition, not) => go({ filter: joined(condition, not), page: undefined, id: undefined, sel: undefined });
// Sessions of a host: '' or a side, and an address of IP or of the link
export const hostFilter = (address, side) =>
    !address ? null : /^(..:){5}..$/.test(address) ? `ether ${side ? (side === 'client' ? 'src ' : 'dst ') : ''}host ${address}` : `${side ? side + ' ' : ''}host ${address}`;
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, `'\\''`)}'`);
export const endpoint = (addr, port) => (addr === null ? '–' : port === null ? addr : addr.includes(':') ? `[${addr}]:${port}` : `${addr}:${port}`);

// --- sessions of many sensors: their IDs mean something together with their sensor alone ---
export const many = () => !!server.status?.cluster;
// What a session is known by, in the URL and among those selected: 5, of many sensors nyc1/5
export const keyOf = (s) => (many() ? `${s.sensor}/${s.id}` : s.id);
export function partsOf(key) {
    const text = String(key), slash = text.lastIndexOf('/');
    return slash < 0 ? { id: text } : { sensor: text.slice(0, slash), id: text.slice(slash + 1) };
}
// Keys as text: 1,5-30, of many sensors nyc1/1,5-30;ams/4
export function selText(keys) {
    if (!many()) return idsText(keys);
    const groups = new Map();
    for (const { sensor, id } of [...keys].map(partsOf)) groups.set(sensor, [...(groups.get(sensor) || []), +id]);
    return [...groups].map(([sensor, ids]) => `${sensor}/${idsText(ids)}`).join(';');
}
export function selOf(text) {
    if (!many()) return idsOf(text);
    const keys = new Set();
    for (const part of (text || '').split(';')) {
        const { sensor, id } = partsOf(part);
        if (sensor) for (const one of idsOf(id)) keys.add(`${sensor}/${one}`);
    }
    return keys;
}
// The filter that selects these
export const selFilter = (keys) => {
    const groups = new Map();
    for (const { sensor, id } of [...keys].map(partsOf)) groups.set(sensor, [...(groups.get(sensor) || []), id]);
    return [...groups].map(([sensor, ids]) => `(sensor ${sensor} and id ${ids.join(',')})`).join(' or ');
};

// IDs as the server takes them: 1,5-30
export function idsText(ids) {
    const sorted = [...ids].sort((a, b) => a - b);
    const parts = [];
    for (let i = 0; i < sorted.length; i++) {
        const first = sorted[i];
        while (sorted[i + 1] === sorted[i] + 1) i++;
        parts.push(sorted[i] > first ? `${first}-${sorted[i]}` : first);
    }
    return parts.join(',');
}
export function idsOf(text) {
    const ids = new Set();
    for (const [, a, b] of (text || '').matchAll(/(-?\d+)(?:-(\d+))?/g))
        for (let id = +a; id <= +(b || a) && ids.size < 10000; id++) ids.add(id);
    return ids;
}

// The colour of a group: a property of style.css. A canvas takes none of these by name: css() has what one stands for.
export const colour = (name, i = 0) => {
    const named = { tcp: 1, all: 1, established: 1, udp: 2, closed: 2, icmp: 3, midstream: 3, icmp6: 4, rejected: 4, arp: 5, new: 5, sctp: 6, reset: 7, other: 0 };
    return '--c' + (named[name] ?? (i % 7) + 1);
};
const probe = document.createElement('i');
export function css(name) {
    if (!probe.parentNode) document.head.append(probe);
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
}
