// The page as a whole: which page is shown, whether it is live, who may see it.

import { Refused, TokenWanted, ask, keepToken, open, token } from './api.js';
import { expectPlotly } from './charts.js';
import { byId, el, fill, say } from './dom.js';
import { dateTime, timeOf, zone } from './format.js';
import { TilesPage } from './pages.js';
import { Rounds } from './rounds.js';
import { codeIn, hashOf, readRoute } from './route.js';
import { signIn } from './signin.js';

const PIPELINE = { name: 'pipeline', title: 'Pipeline' };
const main = byId('main');

let meta = null;
let page = null;
/** What the shown page was made from; another needs another page. */
let shown = null;

const rounds = new Rounds({ run: round, said: showState, failed: showFailure });

async function round(signal) {
  await opened();
  // After a lost connection the server may be another one, with other tiles.
  if (!meta || rounds.lost) await begin(signal);
  if (!page) await show(signal);
  await page?.round(signal);
}

/** The exchange of a link's code for a token, and whether the code was none any more. */
let opening = null;
let stale = false;

/** Where a link has led here, its code is exchanged: once, since it works once, whichever round sees it first. */
async function opened() {
  const code = codeIn(location.hash);
  if (code !== null) {
    history.replaceState(null, '', location.pathname);
    meta = null;
    opening = open(code).then((done) => {
      stale = !done;
    }, (error) => {
      // Nobody was asked: the next round tries again.
      opening = null;
      history.replaceState(null, '', `#open=${code}`);
      throw error;
    });
  }
  await opening;
}

async function begin(signal) {
  const before = JSON.stringify(meta && [meta.pages, meta.tiles, meta.filters, meta.problems, meta.name]);
  meta = await ask('v1/dashboard', {}, signal);
  stale = false;
  rounds.every = 1_000 * Math.max(1, meta.refresh_secs);
  say(byId('over'), [meta.name, meta.over].filter(Boolean).join(' · '));
  byId('over').title = byId('over').textContent;
  byId('pause').hidden = false;
  byId('sign-out').hidden = !token();
  say(byId('foot'), `Times are in your time zone, ${zone}. Drag over a chart to zoom in, double-click to zoom out.`);
  if (JSON.stringify([meta.pages, meta.tiles, meta.filters, meta.problems, meta.name]) !== before) leave();
}

/** Shows the page that the address names. */
async function show(signal) {
  const tabs = [...meta.pages, PIPELINE];
  const route = readRoute();
  const chosen = tabs.find(({ name }) => name === route.page);
  if (!chosen) {
    // As if it had been asked for: nothing to go back to.
    history.replaceState(null, '', hashOf({ page: tabs[0].name }));
    return show(signal);
  }
  fill(byId('tabs'), tabs.map(({ name, title }) => el('a', {
    href: hashOf({ page: name }), id: `tab-${name}`, 'aria-current': name === chosen.name ? 'page' : null,
  }, title)));
  document.title = `${chosen.title} · clickmill`;
  main.dataset.page = chosen.name;
  if (shown !== chosen.name) {
    leave();
    // Its code is fetched when it is first looked at.
    const Page = chosen === PIPELINE ? (await import('./pipeline.js')).PipelinePage : TilesPage;
    signal?.throwIfAborted();
    // Meanwhile the reader may have gone elsewhere.
    if (readRoute().page !== chosen.name) return;
    page = new Page(meta, chosen, { again: () => rounds.restart() });
    shown = chosen.name;
    fill(main, printHead, page.element);
  }
  page.follow(route);
  sayPrint(chosen);
}

function leave() {
  page?.drop();
  page = null;
  shown = null;
}

const printHead = el('p', { class: 'print-head' });

function sayPrint(chosen) {
  const parts = [meta.name ?? 'clickmill', meta.over, chosen.title, ...(page?.inWords() ?? []), `as of ${dateTime(rounds.last ?? Date.now())} (${zone})`];
  say(printHead, parts.filter(Boolean).join(' · '));
}

addEventListener('beforeprint', () => {
  if (page) sayPrint([...meta.pages, PIPELINE].find(({ name }) => name === shown));
});

addEventListener('hashchange', async () => {
  // Another link, in a tab that shows the page already.
  if (codeIn(location.hash) !== null) return rounds.restart();
  if (location.hash !== '' && !location.hash.startsWith('#/')) return;
  if (!meta) return;
  const before = shown;
  rounds.stop();
  try {
    await show();
  } catch (error) {
    showFailure(error);
    return;
  }
  if (shown !== before) {
    scrollTo(0, 0);
    announce(`${document.title.split(' · ')[0]} is shown`);
  }
  rounds.restart();
});

let state = 'starting';

function showState(next) {
  const live = byId('live');
  const at = rounds.last ? timeOf(rounds.last) : 'never';
  say(byId('live-text'), { live: `Live · ${at}`, paused: `Paused · ${at}`, lost: `Offline · ${at}` }[next]);
  live.title = rounds.last ? `Last update: ${dateTime(rounds.last)}` : 'Not updated yet';
  say(byId('pause'), rounds.paused ? 'Resume' : 'Pause');
  if (next === state) return;
  const banner = byId('banner');
  banner.hidden = next !== 'lost';
  if (next === 'lost') fill(banner, 'Connection lost, trying again. ', rounds.last && 'What you see is as of the last update.');
  if (next === 'lost') announce('Connection lost, trying again.');
  else if (state === 'lost') announce('Connected again.');
  else if (next === 'paused') announce('Updates are paused.');
  else if (state === 'paused') announce('Updates go on.');
  state = next;
  live.dataset.live = next;
}

const announce = (text) => say(byId('says'), text);

/** What ends the rounds: a token is wanted, or the page itself cannot be shown. */
function showFailure(error) {
  rounds.stop();
  leave();
  delete main.dataset.page;
  byId('live').dataset.live = 'stopped';
  state = 'stopped';
  byId('pause').hidden = true;
  byId('sign-out').hidden = true;
  byId('banner').hidden = true;
  if (error instanceof TokenWanted) {
    const refused = Boolean(token());
    keepToken(null);
    meta = null;
    fill(byId('tabs'));
    document.title = 'Sign in · clickmill';
    say(byId('live-text'), 'Signed out');
    fill(main, signIn({ refused, stale, tried: () => rounds.restart() }));
    stale = false;
    return;
  }
  meta = null;
  say(byId('live-text'), 'Stopped');
  fill(main, el('div', { class: 'notice bad', id: 'failure', role: 'alert' },
    el('h1', {}, 'The dashboard could not be shown'),
    el('p', {}, error.message),
    error instanceof Refused && error.hint && el('p', {}, error.hint),
    el('button', { type: 'button', on: { click: () => rounds.restart() } }, 'Retry')));
}

byId('pause').addEventListener('click', () => rounds.pause(!rounds.paused));

byId('sign-out').addEventListener('click', () => {
  keepToken(null);
  rounds.restart();
});

byId('skip').addEventListener('click', (event) => {
  // The hash is the page's address: it is not to be changed by this.
  event.preventDefault();
  main.focus();
});

// After the first paint, so that it is not in its way.
requestAnimationFrame(() => setTimeout(expectPlotly));
rounds.restart();
