// SPDX-License-Identifier: MIT
// The search box with completion, history and saved filters; the range of time below it.
import {
    html, useState, useLayoutEffect, useRef, url, go, back, get, kept, keep, server, range, number, duration, nsOf, isoOf,
    zone, typedTime, shownTime
} from './core.js';

const HOSTS = 500000; // sessions up to which addresses are proposed: adding them up takes a moment
let hosts;
async function proposals(text, at, signal) {
    const answer = await get('complete', { filter: text, at, limit: 12 }, signal);
    const m = /\b(?:host|client|server|src|dst)\s+(?:host\s+)?(?:[^\s,()]+,)*([0-9a-f.:]*)$/i.exec(text.slice(0, at));
    if (!m || !server.status || server.status.cluster || server.status.index.sessions > HOSTS) return answer;
    hosts ??= get('top', { by: 'host', limit: 1000 }).then((top) => top.rows, () => []);
    const known = (await hosts).filter((row) => row.host && row.host.startsWith(m[1])).slice(0, 8);
    const items = known.map((row) => ({ text: row.host, kind: 'host', about: `${number(row.sessions)} sessions` }));
    if (!items.length) return answer;
    return m[1] ? { start: at - m[1].length, end: at, items } : { ...answer, start: at, end: at, items: [...items, ...answer.items] };
}

export function remember(filter) {
    if (filter) keep('history', [filter, ...kept('history', []).filter((f) => f !== filter)].slice(0, 30));
}

// The cursor goes to the filter, where there is none to the next that is drawn
let awaited = false;
export function toFilter() {
    const box = document.getElementById('filter');
    awaited = !box;
    box?.focus();
    box?.select();
    return !!box;
}

export function Search({ error, onCommand }) {
    const input = useRef();
    const [text, setText] = useState(url.filter || '');
    const [list, setList] = useState(null); // {start, end, items} or {past: true, items}
    const [chosen, choose] = useState(-1);
    const [saved, setSaved] = useState(kept('saved', []));
    const [wrong, setWrong] = useState(true); // the error is shown until it is typed over
    const stop = useRef();
    const asking = useRef(false); // for proposals
    const hurried = useRef(false); // Tab came before the proposals for what is typed
    const caret = useRef(null); // where it goes once the text that was taken is there
    useLayoutEffect(() => awaited && void toFilter(), []);
    useLayoutEffect(() => {
        setText(url.filter || '');
        setWrong(true);
    }, [url.filter]);
    useLayoutEffect(() => setWrong(true), [error]);
    useLayoutEffect(() => {
        if (caret.current === null) return;
        input.current.focus();
        input.current.setSelectionRange(caret.current, caret.current);
        caret.current = null;
        complete();
    });

    const close = () => (stop.current?.abort(), (hurried.current = false), setList(null), choose(-1));
    const search = (filter) => {
        close();
        filter = filter.trim();
        setText(filter);
        setWrong(true);
        remember(filter);
        go({ filter, sel: undefined, id: undefined, page: url.page === 'top' ? 'top' : undefined });
    };
    const complete = async () => {
        stop.current?.abort();
        const { signal } = (stop.current = new AbortController());
        asking.current = true;
        try {
            const { value, selectionStart } = input.current;
            const answer = await proposals(value, selectionStart, signal);
            if (signal.aborted || document.activeElement !== input.current) return; // an answer that was there when it was closed
            setList(answer.items.length ? { ...answer, of: value } : null);
            choose(-1);
            if (hurried.current && answer.items.length) take(answer.items[0], answer);
            hurried.current = false;
        } catch (problem) {
            if (problem.name !== 'AbortError') setList(null); // else a later question is on its way
        } finally {
            if (stop.current.signal === signal) asking.current = false;
        }
    };
    const past = () => {
        const items = [
            ...saved.map((filter) => ({ text: filter, kind: 'saved' })),
            ...kept('history', []).filter((f) => !saved.includes(f)).map((filter) => ({ text: filter, kind: 'recent' })),
        ];
        setList({ past: true, items: items.length ? items.slice(0, 20) : [{ text: '', kind: '', about: 'no filters yet' }] });
        choose(-1);
    };
    const take = (item, from = list) => {
        if (from.past) return search(item.text);
        const now = input.current.value;
        const value = now.slice(0, from.start) + item.text + (/^\s/.test(now.slice(from.end)) ? '' : ' ') + now.slice(from.end);
        caret.current = from.start + item.text.length + 1;
        setText(value);
        setWrong(false);
        close();
    };
    const onKey = (event) => {
        const items = list?.items || [];
        if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
            event.preventDefault();
            if (!list) return text.trim() ? complete() : past();
            const step = event.key === 'ArrowDown' ? 1 : -1;
            choose((chosen + step + items.length + (chosen < 0 && step < 0 ? 1 : 0)) % items.length);
        } else if (event.key === 'Tab' && !event.shiftKey && (asking.current || list?.of)) {
            event.preventDefault();
            if (list?.of === text) take(items[Math.max(chosen, 0)]);
            else hurried.current = true; // the first of what is on its way is taken
        } else if (event.key === 'Enter') {
            event.preventDefault();
            if (chosen >= 0) take(items[chosen]);
            else search(text);
        } else if (event.key === 'Escape') {
            event.stopPropagation();
            if (list) close();
            else input.current.blur();
        }
    };
    const isSaved = saved.includes(text.trim());
    const star = () => {
        const filter = text.trim();
        if (!filter) return;
        const next = isSaved ? saved.filter((f) => f !== filter) : [filter, ...saved];
        keep('saved', next);
        setSaved(next);
    };
    const where = error?.where?.parameter !== 'from' && error?.where?.parameter !== 'until' && error?.where;
    return html`<form class="search" role="search" onSubmit=${(event) => (event.preventDefault(), search(text))}>
        <div class="box">
            <input ref=${input} id="filter" type="text" value=${text} spellcheck="false" autocomplete="off" autocapitalize="off" role="combobox"
                aria-label="Filter" aria-expanded=${!!list} aria-controls="proposals" aria-autocomplete="list" aria-invalid=${!!(error && wrong)}
                aria-describedby=${error && wrong ? 'wrong' : undefined} aria-activedescendant=${chosen >= 0 ? 'proposal-' + chosen : undefined}
                placeholder="host 10.0.0.5 and port 443      ( / to type, ? for help )"
                onInput=${(event) => ((hurried.current = false), setText(event.target.value), setWrong(false), event.target.value ? complete() : past())} onKeyDown=${onKey} onBlur=${close} />
            <button type="button" class="quiet" aria-label="Saved and recent filters" title="Saved and recent filters"
                onMouseDown=${(event) => event.preventDefault()}
                    onClick=${() => (input.current.focus(), list?.past ? close() : past())}>▾</button>
            ${list &&
            html`<ul id="proposals" class="menu" role="listbox" aria-label=${list.past ? 'Saved and recent filters' : 'Completions'}>
                ${list.items.map(
                    (item, i) => html`<li id=${'proposal-' + i} role="option" aria-selected=${i === chosen}
                        class=${i === chosen ? 'on' : ''}
                        onMouseDown=${(event) => (event.preventDefault(), take(item))}><code>${item.text}</code><span>${item.about}</span>
                            <i>${item.kind}</i></li>`
                )}
            </ul>`}
            ${error && wrong && !list &&
            html`<div class="wrong" id="wrong" role="alert">
                ${where && html`<pre class="caret">${input.current?.scrollWidth > input.current?.clientWidth ? where.text + '\n' : ''}${where.caret}</pre>`}
                <p>${error.message}</p>
            </div>`}
        </div>
        <button type="button" class="icon" onClick=${star} disabled=${!text.trim()} aria-pressed=${isSaved} aria-label="Save this filter"
            title=${isSaved ? 'Saved in this browser: click to take it away' : 'Save this filter in this browser'}>${isSaved ? '★' : '☆'}</button>
        <button type="button" onClick=${onCommand} title="The equal calls of flowcarve, tcpdump and Wireshark">As command</button>
        <button class="main">Search</button>
    </form>`;
}

const PRESETS = [['15 min', 900], ['1 h', 3600], ['6 h', 21600], ['24 h', 86400], ['7 d', 604800], ['30 d', 2592000]];
const zones = Intl.supportedValuesOf?.('timeZone') || [];
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;

function Time({ name, label, error }) {
    const [text, setText] = useState('');
    const shown = shownTime(url[name]);
    useLayoutEffect(() => setText(shown), [shown]);
    const wrong = error?.where?.parameter === name;
    const set = () => text !== shown && go({ [name]: typedTime(text), sel: undefined });
    return html`<label class=${wrong ? 'time bad' : 'time'}><span>${label}</span>
        <input type="text" value=${text} spellcheck="false" autocomplete="off"
            placeholder=${name === 'from' ? 'the beginning' : 'the end'} title=${wrong ? error.message : `2024-05-31 10:00 (${zone()}), 1717150000, 2h ago`}
            aria-invalid=${wrong} onInput=${(event) => setText(event.target.value)} onBlur=${set}
            onKeyDown=${(event) => event.key === 'Enter' && set()} />${wrong && html`<b role="alert">${error.message}</b>`}</label>`;
}

export function Range({ count, error }) {
    const index = server.status?.index;
    const [from, until] = [nsOf(url.from), nsOf(url.until)];
    const preset = (event) => {
        const end = nsOf(index?.end);
        if (event.target.value && end !== null) go({ from: isoOf(end - BigInt(event.target.value) * 1000000000n), until: undefined, sel: undefined });
        event.target.value = '';
    };
    const [all, setAll] = useState(false); // some 400 zones, made when somebody comes near
    const fits = count?.start && (count.start !== url.from || count.end !== url.until);
    return html`<div class="range" role="group" aria-label="Range of time">
        <${Time} name="from" label="from" error=${error} /><${Time} name="until" label="until" error=${error} />
        <span class="span" title="Length of the range">${from !== null && until !== null ? duration(Number(until - from) / 1e9) : ''}</span>
        <button onClick=${() => go({ from: count.start, until: count.end })} disabled=${!fits}
            title="Snap the range to what was found (z)">Fit</button>
        <button onClick=${() => go({ from: undefined, until: undefined })} disabled=${!url.from && !url.until}
            title="The whole index (a)">All</button>
        <button onClick=${back} disabled=${!history.state?.depth} title="Back to the view before (b)">Back</button>
        <select aria-label="Last part of the index" onChange=${preset}><option value="">Last…</option>
            ${PRESETS.map(([name, s]) => html`<option value=${s}>${name}</option>`)}</select>
 <select class="zone" onPointerEnter=${() => setAll(true)} onFocus=${() => setAll(true)} aria-label="Time zone" value=${zone()}
     title="Times are shown, and read, in this zone"
            onChange=${(event) => (keep('tz', event.target.value), go({ tz: event.target.value === 'UTC' ? undefined : event.target.value }, true))}>
            <option value="UTC">UTC</option>${here !== 'UTC' && html`<option value=${here}>${here}</option>`}
            ${(all ? zones : [zone()]).filter((z) => z !== here && z !== 'UTC').map((z) => html`<option value=${z}>${z}</option>`)}</select>
    </div>`;
}
