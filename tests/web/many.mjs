// SPDX-License-Identifier: MIT
// The page over many sensors, in a real browser. Usage: node many.mjs BASE TOKEN SESSIONS OF_A, of tests/system/test_cluster_serve.py: the
// server's address, a token, the number of all sessions, or `down` when there is no engine, and of those of sensor `a`. Exit status 0: it is as it should be.
//
// Environment: PLAYWRIGHT (folder of playwright-core), CHROMIUM, SCREENSHOTS (a folder, or nothing)
import { pathToFileURL } from 'node:url';
import { strict as assert } from 'node:assert';

const { PLAYWRIGHT, CHROMIUM, SCREENSHOTS } = process.env;
const [base, token, sessions, ofA] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(PLAYWRIGHT + '/index.mjs'));
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
const complaints = [];
try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
    context.setDefaultTimeout(8000);
    const page = await context.newPage();
    page.on('console', (m) => /Content Security Policy|Trusted|Refused to/i.test(m.text()) && complaints.push(m.text()));
    page.on('pageerror', (error) => complaints.push(error.stack));
    page.on('dialog', (dialog) => (complaints.push('dialog: ' + dialog.message()), dialog.dismiss()));
    const shot = (name) => SCREENSHOTS && page.screenshot({ path: `${SCREENSHOTS}/many-${name}.png` });
    const state = () => page.evaluate(() => Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
    const visit = (hash) => page.evaluate((h) => (location.hash = h), hash);
    const says = (selector, text) => page.locator(selector, { hasText: text }).first().waitFor();

    if (sessions === 'down') { // the engine, and nothing was seen of it before
        await page.goto(`${base}/#token=${token}`);
        await says('header [role=alert]', /./);
        await shot('engine');
        process.exit(complaints.length ? 1 : 0);
    }

    // the table: sensors are a column, and a value to filter by
    await page.goto(`${base}/#token=${token}`);
    await says('.totals b', `${Number(sessions).toLocaleString('en-US')} sessions`);
    assert.equal(await page.locator('.sessions .head [role=columnheader]').nth(1).innerText(), 'Sensor');
    await page.locator('.sessions .row').first().waitFor();
    await shot('sessions');
    await page.locator('.sessions .row .value', { hasText: /^a$/ }).first().click();
    await shot('menu');
    await page.locator('.menu.choose button', { hasText: 'Only' }).click();
    await says('.totals b', `${ofA} sessions`);
    assert.equal((await state()).filter, 'sensor a');

    // completion knows their names
    await page.fill('#filter', '');
    await page.locator('#filter').pressSequentially('tcp and sensor an');
    await says('#proposals code', 'anew');
    await page.keyboard.press('Escape');
    await page.fill('#filter', 'sensor a and tcp');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash.includes('tcp'));
    await page.waitForFunction(() => !document.querySelector('.busy'));

    // a session is one of its sensor
    await page.locator('.sessions .row').nth(2).dblclick();
    await page.locator('.list.packets .row').first().waitFor();
    const { id } = await state();
    assert.match(id, /^a\/\d+$/);
    await says('h2', `Session ${id}`);
    await page.locator('.packet .layers details').first().waitFor();
    await shot('session');
    for (const tab of ['Stream', 'Course', 'Neighbours']) {
        await page.getByRole('tab', { name: tab }).click();
        await (tab === 'Stream' ? says('.stream', 'end of the stream') : page.locator(tab === 'Course' ? '.panel canvas' : '.panel tr.on').first().waitFor());
    }
    await page.keyboard.press(']');
    await page.waitForFunction((before) => new URLSearchParams(location.hash.slice(1)).get('id') !== before, id);
    assert.match((await state()).id, /^a\/\d+$/);

    // those chosen, of whichever sensor, are one download
    await visit('sort=bytes:desc');
    await page.waitForFunction(() => !document.querySelector('.busy') && document.querySelectorAll('.sessions .row').length > 5);
    const seen = new Set();
    for (const row of await page.locator('.sessions .row').all()) {
        const sensor = await row.locator('.cell').nth(1).innerText();
        if (seen.has(sensor)) continue;
        seen.add(sensor);
        await row.locator('.tick').click();
        if (seen.size === 2) break;
    }
    await says('.chosen', '2 sessions selected');
    assert.equal((await state()).sel.split(';').length, 2);
    await page.getByRole('button', { name: /Download selected/ }).click();
    await says('dialog pre', /flowcarve carve --cluster .*\(sensor \S+ and id \d+\) or \(sensor/);
    await shot('download');
    await page.keyboard.press('Escape');

    // how they are
    await visit('page=sensors');
    await says('tr', /silent.*it has sent nothing/s);
    assert.equal(await page.locator('table.plain tbody tr').count(), 6);
    await shot('sensors');
    await visit('page=top');
    await says('section.bars', 'Sensors');
    await page.waitForFunction(() => !document.querySelector('.busy'));
    await shot('top');
    await visit('page=status');
    await says('dl.status', 'Cluster');

    // what a sensor says is text, whatever it is, and an error says whose it is
    for (const [which, text] of [['liar/10', '<img src=x'], ['liar/11', 'cannot be shown'], ['liar/1', 'broke off'], ['liar/2', 'sensor liar'], ['down/1', 'sensor down'],
        ['anew/1', 'sensor anew']]) {
        await visit('id=' + which);
        await says('.view', text);
    }
    await shot('down');
    await visit('');
    await says('.totals b', 'sessions');
    assert.equal(await page.evaluate(() => document.querySelectorAll('img').length), 0);
    assert.deepEqual(complaints, []);
} finally {
    await browser.close();
}
