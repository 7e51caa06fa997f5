// SPDX-License-Identifier: MIT
// How long the page of `flowcarve serve` takes to its first rows. Usage: node page.mjs PLAYWRIGHT CHROMIUM BASE TOKEN RUNS STATE...
// Prints a line of JSON for each state of the page (what stands behind # in its URL): ms from the start of the navigation to the moment at
// which the first row of sessions is in the document and a frame was drawn, each time in a context that has loaded nothing before.
import { pathToFileURL } from 'node:url';

const [playwright, executablePath, base, token, runs, ...states] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(playwright + '/index.mjs'));
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });

function watch() { // in the page
    window.drawn = new Promise((done) => {
        const look = () => {
            if (document.querySelector('.list.sessions .row .cell')) requestAnimationFrame(() => setTimeout(() => done(performance.now())));
            else requestAnimationFrame(look);
        };
        look();
    });
}

async function once(state) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
    const page = await context.newPage();
    await page.addInitScript(watch);
    await page.goto(`${base}/#${state ? state + '&' : ''}token=${token}`);
    const ms = await page.evaluate('window.drawn');
    await context.close();
    return ms;
}

await once(''); // the browser's own start
for (const state of states) {
    const ms = [];
    for (let i = 0; i < +runs; i++) ms.push(await once(state));
    console.log(JSON.stringify({ state, ms }));
}
await browser.close();
