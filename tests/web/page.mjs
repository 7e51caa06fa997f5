// SPDX-License-Identifier: MIT
// Drives the page in a real browser. Usage: node page.mjs FOLDER, with what system/test_web.py has put there. Prints a line of JSON for each test:
// {"name", "error"}. What the page shows is held against the program's own commands, and against bytes read here.
//
// Environment: FLOWCARVE, PLAYWRIGHT (folder of playwright-core), CHROMIUM, SCREENSHOTS (a folder)
import { spawn, execFileSync } from 'node:child_process';
import { readFileSync, renameSync, existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { strict as assert } from 'node:assert';

const { FLOWCARVE, PLAYWRIGHT, CHROMIUM, SCREENSHOTS } = process.env;
const folder = process.argv[2];
const { chromium } = await import(pathToFileURL(PLAYWRIGHT + '/index.mjs'));
const TOKEN = readFileSync(folder + '/tokens', 'utf8').trim().split(' ').at(-1);

const flowcarve = (...words) => execFileSync(FLOWCARVE, words, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
const lines = (db, ...words) => flowcarve(words[0], '-d', db, '--format', 'json', ...words.slice(1)).toString().split('\n').filter(Boolean).map((line) => JSON.parse(line));
const count = (db, filter) => { // exit status 1: none
    try {
        return +flowcarve('query', '-d', db, '--count', '--', filter);
    } catch (error) {
        return error.status === 1 ? 0 : assert.fail(String(error.stderr));
    }
};

const complaints = []; // of the policy of content, errors of scripts, a server that dies

// --- the server ---
const servers = [];
async function serve(db, port = 0) {
    const child = spawn(FLOWCARVE, ['serve', '-d', db, '--listen', `127.0.0.1:${port}`, '--tokens', 'tokens', '--audit', 'audit'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    const url = await new Promise((found, lost) => {
        child.stdout.on('data', (part) => {
            out += part;
            const m = /https?:\S+#token=\S+/.exec(out);
            if (m && out.includes('\n')) found(m[0]);
        });
        child.on('exit', (code) => lost(new Error(`serve has ended: ${code} ${out}`)));
    });
    const server = { child, once: url, base: url.split('/#')[0], port: new URL(url).port };
    server.end = () => new Promise((ended) => {
        child.removeAllListeners('exit');
        child.once('exit', (code) => (code && complaints.push(`serve has ended with status ${code}`), ended()));
        child.kill('SIGTERM');
    });
    servers.push(server);
    return server;
}

// --- tests ---
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
async function open(options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 720 }, acceptDownloads: true, ...options });
    context.setDefaultTimeout(10000);
    return context;
}
async function tab(context, server, state = '') {
    const page = await context.newPage();
    page.on('console', (m) => /Content Security Policy|Trusted|Refused to/i.test(m.text()) && complaints.push(m.text()));
    page.on('pageerror', (error) => complaints.push(error.stack));
    page.on('dialog', (dialog) => (complaints.push('dialog: ' + dialog.message()), dialog.dismiss()));
    await page.goto(`${server.base}/#${state ? state + '&' : ''}token=${TOKEN}`);
    await page.waitForSelector('nav');
    return page;
}
const shot = (page, name) => SCREENSHOTS && page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
const state = (page) => page.evaluate(() => Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
const visit = (page, hash) => page.evaluate((h) => (location.hash = h), hash);
const total = (page) => page.locator('.totals b').innerText();
const says = async (page, selector, text) => {
    try {
        await page.locator(selector, { hasText: text }).first().waitFor();
    } catch {
        assert.fail(`${selector} does not say ${text}, but: ${await page.locator(selector).allInnerTexts()}`);
    }
};
const settled = async (page) => {
    await page.waitForFunction(() => !document.querySelector('.busy'));
};
const search = async (page, filter) => {
    await page.fill('#filter', filter);
    await page.press('#filter', 'Enter');
};
const cells = (page, row) => page.locator('.list.sessions .row').nth(row).locator('.cell').allInnerTexts();

const tests = {
    async search_counts_what_the_program_counts({ page }) {
        await says(page, '.totals b', '400 sessions');
        await search(page, 'udp and server port 53');
        const want = count('day.db', 'udp and server port 53');
        await says(page, '.totals b', `${want} sessions`);
        assert.equal((await state(page)).filter, 'udp and server port 53');
        await page.waitForFunction(() => document.querySelectorAll('.list.sessions .row').length > 3);
        assert.equal(await page.locator('.list.sessions').getAttribute('aria-rowcount'), String(want + 1));
        for (let i = 0; i < 3; i++) assert.deepEqual((await cells(page, i)).slice(3, 4).concat((await cells(page, i))[7]), ['udp', '53']);
    },
    async words_are_completed({ page }) {
        await page.click('#filter');
        await page.keyboard.type('tcp and stat');
        await says(page, '#proposals li code', 'state');
        await page.keyboard.press('Tab');
        await page.waitForFunction(() => document.querySelector('#filter').value === 'tcp and state ');
        await says(page, '#proposals li code', 'established');
        await page.keyboard.type('res');
        await says(page, '#proposals li:first-child code', 'reset');
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        await page.keyboard.press('Enter');
        await says(page, '.totals b', `${count('day.db', 'tcp and state reset')} session`);
        await page.fill('#filter', '');
        await page.keyboard.press('ArrowDown');
        await says(page, '#proposals li', 'tcp and state reset'); // the history
    },
    async error_has_its_caret_under_the_word({ page }) {
        await search(page, 'tcp and hsot 10.0.0.5');
        await says(page, '.wrong', "did you mean 'host'?");
        const place = await page.evaluate(() => {
            const input = document.querySelector('#filter'), caret = document.querySelector('.caret');
            const probe = document.createElement('canvas').getContext('2d');
            probe.font = getComputedStyle(input).font;
            const left = input.getBoundingClientRect().left + parseFloat(getComputedStyle(input).paddingLeft) + 1;
            const range = document.createRange(), text = caret.lastChild;
            range.setStart(text, text.data.indexOf('^'));
            range.setEnd(text, text.data.length);
            const box = range.getBoundingClientRect();
            return { want: left + probe.measureText('tcp and ').width, got: box.left, width: box.width, word: probe.measureText('hsot').width, below: box.top - input.getBoundingClientRect().bottom };
        });
        assert.ok(Math.abs(place.want - place.got) < 1.5, JSON.stringify(place));
        assert.ok(Math.abs(place.width - place.word) < 1.5 && place.below > -3 && place.below < 8, JSON.stringify(place));
        await shot(page, 'error');
        await search(page, 'tcp');
        await page.waitForSelector('.wrong', { state: 'detached' });
    },
    async drag_zooms_and_back_comes_back({ page }) {
        await page.waitForSelector('.u-over');
        const box = await page.locator('.u-over').boundingBox();
        await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.5, box.y + 50, { steps: 4 });
        await page.mouse.up();
        await page.waitForFunction(() => location.hash.includes('until'));
        const { from, until } = await state(page);
        const want = count('day.db', `between ${from} and ${until}`);
        assert.ok(want > 20 && want < 390, String(want));
        await says(page, '.totals b', `${want} sessions`);
        assert.ok(/^2023-11-14T22:13:\d\d/.test(from), from);
        await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
        await page.mouse.wheel(0, -100);
        await page.waitForFunction((was) => !location.hash.includes(was), encodeURIComponent(until));
        await page.keyboard.press('b');
        await page.keyboard.press('b');
        await says(page, '.totals b', '400 sessions');
        await search(page, 'id 250');
        await says(page, '.totals b', '1 session');
        await page.keyboard.press('Escape');
        await page.click('text=Fit');
        const [row] = lines('day.db', 'query', 'id 250');
        await page.waitForFunction(() => location.hash.includes('until'));
        assert.deepEqual([(await state(page)).from, (await state(page)).until], [row.start, row.end]);
    },
    async bars_are_right_for_10_ms_and_10_years({ server, context }) {
        for (const [db, span, unit] of [['narrow.db', '10 ms', 'µs'], ['wide.db', '10 years', 'd']]) {
            const other = await serve(db);
            const page = await tab(context, other);
            await says(page, '.histogram .dim', new RegExp(`bars of .* ${unit}`));
            const painted = await page.evaluate(() => {
                const canvas = document.querySelector('.histogram canvas'), data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                const columns = new Set();
                for (let i = 0; i < data.length; i += 4) if (data[i + 3] && data[i] - data[i + 2] > 90) columns.add((i / 4) % canvas.width);
                return { bars: [...columns].filter((x) => !columns.has(x - 1)).length, first: Math.min(...columns), last: Math.max(...columns), width: canvas.width };
            });
            assert.equal(painted.bars, 11, `${span}: ${JSON.stringify(painted)}`); // 11 sessions at even distances
            assert.ok(painted.last > painted.width * 0.9, `${span}: ${JSON.stringify(painted)}`);
            const box = await page.locator('.u-over').boundingBox();
            await page.mouse.move(box.x + box.width * 0.45, box.y + 40);
            await page.mouse.down();
            await page.mouse.move(box.x + box.width * 0.55, box.y + 50, { steps: 3 });
            await page.mouse.up();
            await says(page, '.totals b', /^1 session/);
            await shot(page, 'span-' + db.slice(0, -3));
            await page.close();
            await other.end();
        }
    },
    async sorts_as_the_program_does({ page }) {
        await page.click('.head >> text=Bytes');
        const top = lines('day.db', 'query', '--sort', 'bytes:desc', '--limit', '3');
        await page.waitForFunction((port) => document.querySelector('.list.sessions .row .cell:nth-child(6)')?.innerText === port, String(top[0].client_port));
        for (const [i, s] of top.entries()) assert.deepEqual((await cells(page, i)).slice(3, 8), [s.proto, s.client_addr, String(s.client_port), s.server_addr, String(s.server_port)]);
        assert.equal(await page.locator('.head [aria-sort=descending]').innerText(), 'Bytes ▾');
        assert.equal((await state(page)).sort, 'bytes:desc');
    },
    async click_on_a_value_filters_or_excludes({ page }) {
        await page.locator('.row .value', { hasText: /^10\.0\.0\.1$/ }).first().click();
        await page.click('.menu >> text=Only');
        await says(page, '.totals b', `${count('day.db', 'client host 10.0.0.1')} sessions`);
        assert.equal((await state(page)).filter, 'client host 10.0.0.1');
        await page.locator('.row .value', { hasText: /^tcp$/ }).first().click();
        await page.click('.menu >> text=Exclude');
        await says(page, '.totals b', `${count('day.db', 'client host 10.0.0.1 and not proto tcp')} sessions`);
        await visit(page, 'page=top');
        await page.locator('.bars[aria-label=Protocols] button', { hasText: 'udp' }).click();
        await says(page, '.totals b', `${count('day.db', 'udp')} sessions`);
    },
    async conditions_that_it_offers_find_the_session({ page }) {
        const wrong = await page.evaluate(async () => {
            const { COLUMNS } = await import('/table.js');
            const ask = async (path, params) => (await fetch('/v1/' + path + '?' + new URLSearchParams(params))).json();
            const ids = (await Promise.all(['proto arp', 'icmp', 'vlan', 'ip6 and tcp', 'sctp', 'state reset'].map((filter) => ask('sessions', { filter, limit: 2 })))).flatMap((a) => a.sessions.map((s) => s.id));
            const questions = [];
            for (const id of ids) {
                const { session } = await ask('sessions/' + id);
                for (const c of COLUMNS) {
                    const condition = c.filter?.(session, c.key);
                    if (condition) questions.push(ask('count', { filter: `${condition} and id ${id}` }).then((a) => a.sessions === 1 || `${c.key}: ${condition}: ${JSON.stringify(a)}`));
                }
            }
            const answers = await Promise.all(questions);
            return answers.length < 150 ? [answers.length] : answers.filter((a) => a !== true);
        });
        assert.deepEqual(wrong, []);
    },
    async index_that_grows_is_shown({ context }) {
        const server = await serve('grows.db');
        const page = await tab(context, server);
        const before = count('grows.db', 'tcp or not tcp');
        await says(page, '.totals b', `${before} sessions`);
        flowcarve('index', '-q', '-d', 'grows.db', 'day');
        await page.click('text=The index has grown');
        await says(page, '.totals b', `${count('grows.db', 'tcp or not tcp')} sessions`);
        await visit(page, 'page=status');
        await page.waitForFunction(() => [...document.querySelectorAll('.rates h3')].every((h) => /\/s/.test(h.innerText)));
        await server.end();
    },
    async columns_are_chosen_and_resized({ page }) {
        await page.keyboard.press('o');
        await page.locator('dialog label', { hasText: /^ ?ID$/ }).locator('input').check();
        await page.locator('dialog label', { hasText: 'State' }).locator('input').uncheck();
        await page.keyboard.press('Escape');
        assert.match((await state(page)).cols, /,id$/);
        assert.ok(!(await page.locator('.head').innerText()).includes('State'));
        const grip = page.locator('.head .grip').nth(4), box = await grip.boundingBox();
        await page.mouse.move(box.x + 3, box.y + 5);
        await page.mouse.down();
        await page.mouse.move(box.x + 63, box.y + 5, { steps: 3 });
        await page.mouse.up();
        assert.match((await state(page)).cols, /client_port:12\d/);
    },
    async table_scrolls_to_its_last_session({ page }) {
        await page.waitForSelector('.row .value');
        await page.keyboard.press('G');
        const last = lines('day.db', 'query', 'id 400')[0];
        await page.waitForFunction((port) => [...document.querySelectorAll('.row.on .cell')].some((c) => c.innerText === port), String(last.client_port));
        await page.locator('.list.sessions').evaluate((list) => (list.scrollTop = list.scrollHeight / 2));
        await page.waitForFunction(() => [...document.querySelectorAll('.row .cell:nth-child(4)')].filter((c) => c.innerText).length > 10);
        const ports = await page.locator('.list.sessions .row .cell:nth-child(6)').allInnerTexts();
        const all = lines('day.db', 'query').map((s) => (s.client_port === null ? '–' : String(s.client_port)));
        assert.ok(all.join(' ').includes(ports.join(' ')), ports.join(' ')); // a stretch of the list, without hole or repetition
    },
    async session_shows_packets_bytes_and_fields({ page }) {
        await visit(page, 'id=3');
        await says(page, '.places', 'present');
        await page.locator('.packets .row').nth(3).click();
        await says(page, '.layers', 'tcp');
        const packet = lines('day.db', 'packets', '--id', '3', '--limit', '4')[3];
        await page.waitForFunction((n) => document.querySelectorAll('.hex > div > i').length === 2 * n, packet.caplen);
        const shown = (await page.locator('.hex > div').allInnerTexts()).map((l) => l.slice(6, 54).replace(/\s/g, '')).join('');
        const [file] = lines('day.db', 'files').filter((f) => f.id === packet.file);
        assert.equal(shown, readFileSync(file.path).subarray(packet.offset + 16, packet.offset + 16 + packet.caplen).toString('hex'));
        // the bytes that are marked for a field are those that say its value
        await page.locator('.layers details', { hasText: 'tcp' }).locator('.field', { hasText: /^seq/ }).hover();
        await page.waitForSelector('.hex .on');
        const value = +(await page.locator('.field.on code').innerText());
        const marked = (await page.locator('.hex i.on').allInnerTexts()).slice(0, 4).join('');
        assert.equal(parseInt(marked, 16), value);
        await shot(page, 'session');
        await page.keyboard.press('3');
        await page.waitForSelector('.panel .plot canvas');
        await shot(page, 'course');
        await page.keyboard.press('4');
        await says(page, '.panel tr.on', 'this');
        const near = await page.locator('.panel tbody tr').count();
        const s = lines('day.db', 'query', 'id 3')[0];
        const seconds = (text, by) => new Date(Date.parse(text.slice(0, 23) + 'Z') + by).toISOString();
        assert.equal(near, count('day.db', `(host ${s.client_addr} and host ${s.server_addr}) and between ${seconds(s.start, -60000)} and ${seconds(s.end, 60001)}`));
    },
    async stream_is_shown_with_its_gaps_and_does_nothing({ context }) {
        const server = await serve('hostile.db');
        const page = await tab(context, server, 'id=1&tab=stream');
        await says(page, '.b-client', 'GET /<script>window.hacked=1</script>');
        await says(page, '.b-server', '<img src=x onerror=window.hacked=1>');
        await says(page, '.gap', '1,000 bytes in no capture');
        await page.click('text=Raw (UTF-8)');
        await says(page, '.b-server', 'abc▫cba'); // a mark that turns the direction of text is shown, not obeyed
        await page.click('text=Hex');
        await says(page, '.b-client', '00000000  47 45 54 20');
        await page.selectOption('.panel .bar select', 'server');
        await page.waitForSelector('.b-client', { state: 'detached' });
        await shot(page, 'stream');
        for (const where of ['id=1', 'id=1&tab=course', 'page=files', 'page=top', 'page=status', 'cols=start,files', 'filter=' + encodeURIComponent('file "<img src=x onerror=window.hacked=1>.pcap"')]) {
            await visit(page, where);
            await settled(page);
        }
        await says(page, '.totals b', '1 session');
        await visit(page, 'page=files');
        await says(page, '.path', '<img src=x onerror=window.hacked=1>.pcap');
        await visit(page, 'filter=' + encodeURIComponent('<img src=x onerror=window.hacked=1>'));
        await page.waitForSelector('.wrong');
        assert.equal(await page.evaluate(() => window.hacked ?? document.querySelectorAll('img, #app script').length), 0);
        await server.end();
    },
    async downloads_are_what_carve_writes({ page }) {
        const carves = () => readFileSync(folder + '/audit', 'utf8').split('\n').filter((line) => line.includes('/v1/carve')).map((line) => JSON.parse(line));
        const before = carves().length;
        const take = async () => {
            const [download] = await Promise.all([page.waitForEvent('download'), page.click('dialog button.main')]);
            const bytes = readFileSync(await download.path());
            await page.keyboard.press('Escape');
            await page.waitForSelector('dialog', { state: 'detached' });
            return bytes;
        };
        const same = (bytes, ...words) => assert.ok(bytes.equals(flowcarve('carve', '-q', '-d', 'day.db', '-w', '-', ...words)), `differs from carve ${words}: ${bytes.length} bytes`);
        await search(page, 'host 10.0.0.5');
        await says(page, '.totals b', `${count('day.db', 'host 10.0.0.5')} sessions`);
        await page.click('.totals button.main');
        same(await take(), 'host 10.0.0.5');
        await page.locator('.tick input').first().click();
        await page.locator('.tick input').nth(2).click();
        await says(page, 'p.chosen', '2 sessions selected');
        const ids = lines('day.db', 'query', 'host 10.0.0.5').map((s) => s.id);
        await page.click('.totals button.main');
        await page.locator('dialog select').first().selectOption('pcapng');
        same(await take(), '--id', `${ids[0]},${ids[2]}`, '--format', 'pcapng');
        await visit(page, `id=${ids[0]}`);
        await page.click('.title button.main');
        await page.locator('dialog select').nth(1).selectOption('server');
        same(await take(), '--id', String(ids[0]), '--direction', 'server');
        while (carves().length < before + 6) await page.waitForTimeout(10); // the log is behind what a client sees
        assert.deepEqual(carves().slice(before).map((line) => line.how || line.event), Array(3).fill(['begin', 'complete']).flat());
    },
    async commands_that_it_gives_do_the_same({ page }) {
        await visit(page, 'filter=' + encodeURIComponent("tcp and not host 10.0.0.1") + '&from=2023-11-14T22:13:30.000000000Z&sort=bytes:desc');
        const those = lines('day.db', 'query', 'tcp and not host 10.0.0.1').filter((s) => s.end >= '2023-11-14T22:13:30');
        assert.ok(those.length > 0);
        await says(page, '.totals b', `${those.length} sessions`); // not those of the page before
        const want = (await total(page)).split(' ')[0];
        await page.click('text=As command');
        const command = await page.locator('.copy pre').nth(1).innerText();
        const [got] = execFileSync('sh', ['-c', command.replace(/^flowcarve/, '"$FLOWCARVE"')], { cwd: folder }).toString().split('\n');
        assert.equal(got, want);
        await shot(page, 'command');
    },
    async keys_do_all_of_it({ page }) {
        await page.waitForSelector('.row .value');
        await page.keyboard.press('/');
        await page.keyboard.type('tcp and server port 443');
        await page.keyboard.press('Enter');
        const want = lines('day.db', 'query', 'tcp and server port 443');
        await says(page, '.totals b', `${want.length} sessions`);
        await settled(page);
        await page.keyboard.press('Escape');
        for (const key of ['j', 'j', 'k']) await page.keyboard.press(key);
        await page.keyboard.press('Enter');
        await says(page, '.title h2', `Session ${want[1].id}`);
        await page.keyboard.press('2');
        await page.waitForSelector('.stream');
        await page.keyboard.press('1');
        await page.waitForSelector('.packets .row');
        await page.keyboard.press('j');
        await page.waitForFunction(() => location.hash.includes('n=2'));
        await page.keyboard.press(']');
        await says(page, '.title h2', `Session ${want[2].id}`);
        await page.keyboard.press('?');
        await says(page, 'dialog', 'next, previous session');
        await shot(page, 'help');
        await page.keyboard.press('Escape');
        await page.waitForSelector('dialog', { state: 'detached' });
        await settled(page);
        await page.keyboard.press('Escape');
        await says(page, '.totals b', `${want.length} sessions`);
        await settled(page);
        await page.waitForSelector('.row .value');
        await page.keyboard.press('x');
        await says(page, 'p.chosen', '1 session selected');
        for (let i = 0; i < 4; i++) await page.keyboard.press('l');
        await page.keyboard.press('-');
        await page.waitForFunction(() => /not[+ ]client/.test(decodeURIComponent(location.hash)));
        await page.keyboard.press('3');
        await says(page, '.plain', 'present');
    },
    // a browser that is busy draws late: what is typed meanwhile is meant for what the key before has made
    async keys_do_the_same_where_frames_are_slow({ page }) {
        await page.addInitScript(() => (window.requestAnimationFrame = (draw) => setTimeout(draw, 400, 0)));
        await page.reload();
        await tests.keys_do_all_of_it({ page });
        await page.keyboard.press('/');
        await page.keyboard.type('udp and serv');
        await page.keyboard.press('Tab');
        await page.waitForFunction(() => document.querySelector('#filter').value === 'udp and server ');
        await page.keyboard.type('port 53');
        await page.keyboard.press('Enter');
        await says(page, '.totals b', `${count('day.db', 'udp and server port 53')} sessions`);
    },
    async tabs_have_each_their_own_state({ page, context, server }) {
        const other = await tab(context, server, 'filter=udp');
        await search(page, 'tcp');
        await says(page, '.totals b', `${count('day.db', 'tcp')} sessions`);
        await says(other, '.totals b', `${count('day.db', 'udp')} sessions`);
        await other.reload();
        await says(other, '.totals b', `${count('day.db', 'udp')} sessions`);
        assert.equal((await state(other)).token, undefined);
        await visit(page, 'tz=Asia/Tokyo&filter=id+1');
        await says(page, '.row .value', '2023-11-15 07:13:20.009608');
        assert.equal(await page.locator('.head i').first().innerText(), 'Tokyo');
    },
    async one_time_url_works_once_and_a_restart_asks_again({ context }) {
        const server = await serve('day.db');
        const page = await context.newPage();
        await page.goto(server.once);
        await says(page, '.totals b', '400 sessions');
        assert.ok(!page.url().includes('token'));
        const stranger = await open();
        const late = await stranger.newPage();
        await late.goto(server.once);
        await says(late, '.login', 'flowcarve serve');
        await stranger.close();
        await search(page, 'udp');
        await says(page, '.totals b', `${count('day.db', 'udp')} sessions`);
        await server.end();
        await says(page, '.badge', 'does not answer');
        const again = await serve('day.db', server.port);
        await page.waitForSelector('.login');
        await shot(page, 'login');
        await page.fill('.login input', again.once);
        await page.keyboard.press('Enter');
        await says(page, '.totals b', `${count('day.db', 'udp')} sessions`);
        assert.equal((await state(page)).filter, 'udp');
        await again.end();
    },
    async missing_capture_is_told_before_the_click({ page }) {
        const [first] = lines('day.db', 'files');
        renameSync(first.path, first.path + '.away');
        try {
            await visit(page, 'id=3');
            await says(page, '.title .bad', 'not all there');
            await says(page, '.places', 'missing');
            await page.click('.title button.main');
            await page.click('dialog button.main');
            await says(page, 'dialog .bad', /missing|not there|No such/i);
            await page.keyboard.press('Escape');
            await visit(page, 'page=files');
            await says(page, '.plain .bad', 'missing');
            await shot(page, 'files');
        } finally {
            renameSync(first.path + '.away', first.path);
        }
    },
    async can_be_read_in_light_dark_and_on_a_phone({ server }) {
        for (const [name, options] of [['light', {}], ['dark', { colorScheme: 'dark' }], ['phone', { viewport: { width: 390, height: 844 }, hasTouch: true, deviceScaleFactor: 2 }]]) {
            const context = await open(options), page = await tab(context, server);
            for (const where of ['', 'id=3', 'id=3&tab=stream', 'page=top', ...(name === 'dark' ? [] : ['id=250&tab=near', 'page=files', 'page=status'])]) {
                await visit(page, where);
                await settled(page);
                const found = await page.evaluate(contrasts);
                assert.deepEqual(found, [], `${name}, ${where}`);
                await shot(page, `${name}-${where.replace(/\W+/g, '-') || 'sessions'}`);
            }
            await context.close();
        }
    },
};

// In the page: text whose contrast with its ground is below 4.5 (WCAG AA), controls without a name, and what is wider than the window
function contrasts() {
    const rgb = (text) => {
        const probe = (contrasts.ctx ??= document.createElement('canvas').getContext('2d', { willReadFrequently: true }));
        probe.clearRect(0, 0, 1, 1);
        probe.fillStyle = text;
        probe.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = probe.getImageData(0, 0, 1, 1).data;
        return { rgb: [r, g, b], a: a / 255 };
    };
    const light = (c) => c.map((v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const out = [];
    for (const e of document.querySelectorAll('#app *')) {
        const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()), style = getComputedStyle(e);
        if (!text || !e.checkVisibility() || e.disabled || e.closest('svg')) continue;
        let ground = null;
        for (let p = e; p && !ground; p = p.parentElement) {
            const c = rgb(getComputedStyle(p).backgroundColor);
            if (c.a > 0.99) ground = c.rgb;
        }
        const [a, b] = [light(rgb(style.color).rgb), light(ground || [255, 255, 255])].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) out.push(`contrast ${((a + 0.05) / (b + 0.05)).toFixed(2)}: ${e.className} ${e.textContent.slice(0, 30)}`);
    }
    for (const e of document.querySelectorAll('button, input, select, a[href]'))
        if (e.checkVisibility() && !(e.innerText?.trim() && e.tagName !== 'SELECT') && !e.getAttribute('aria-label') && !e.labels?.length && !e.title) out.push('no name: ' + e.outerHTML.slice(0, 100));
    if (document.documentElement.scrollWidth > innerWidth) out.push('wider than the window');
    return [...new Set(out)].slice(0, 8);
}

let failed = 0;
const only = process.argv[3];
const main = await serve('day.db');
const context = await open(); // one for all, so that scripts are compiled once
async function attempt(name, test) {
    let error = null;
    try {
        const late = new Promise((_, lost) => setTimeout(lost, 100000, new Error('takes longer than 100 s')).unref());
        const page = await tab(context, main);
        await page.evaluate(() => localStorage.clear());
        await Promise.race([test({ page, context, server: main }), late]);
    } catch (problem) {
        error = problem.stack;
        for (const page of context.pages()) await shot(page, 'failed-' + name).catch(() => {});
    }
    if (complaints.length) error = (error ? error + '\n' : '') + 'the browser complains: ' + complaints.splice(0).join('\n');
    await Promise.all(context.pages().map((page) => page.close()));
    return error;
}
for (const [name, test] of Object.entries(tests)) {
    if (only && !name.includes(only)) continue;
    const began = Date.now();
    const error = await attempt(name, test);
    failed += !!error;
    console.log(JSON.stringify({ name, error, ms: Date.now() - began }));
}
await browser.close();
for (const server of servers) if (server.child.exitCode === null) await server.end();
process.exit(failed ? 1 : 0);
