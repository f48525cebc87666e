/** Style and script of the page at `/`. The script builds nodes and sets text only, never markup. */

export const PAGE_STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d8d8d2, #3a3a38); --dim: light-dark(#666, #999); --accent: light-dark(#b3470f, #ff9a5c); }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; }
header, main { max-width: 76rem; margin: 0 auto; padding: 1rem 1.25rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .5rem 2rem; border-bottom: 1px solid var(--line); }
h1 { margin: 0; font-size: 1.35rem; color: var(--accent); }
h1 small { color: var(--dim); font-weight: normal; font-size: .8rem; }
h2 { margin: 2rem 0 .5rem; font-size: 1.05rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
a { color: inherit; text-underline-offset: .2em; }
form { display: flex; gap: .5rem; align-items: center; }
label { color: var(--dim); }
input { flex: 1; min-width: 8rem; }
input, button { font: inherit; padding: .5rem .7rem; border: 1px solid var(--line); border-radius: 6px; background: transparent; color: inherit; }
input, td { font-family: ui-monospace, monospace; font-size: .87rem; }
button { border-color: var(--accent); color: var(--accent); cursor: pointer; }
#message { min-height: 1.5rem; color: var(--dim); }
#message.bad, td.down { color: light-dark(#b00020, #ff8090); }
td.up { color: light-dark(#137333, #7fd99a); }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 600; color: var(--dim); font-size: .8rem; }
th, td { padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
`;

export const PAGE_SCRIPT = `
'use strict';
const base = document.documentElement.dataset.base;
const message = document.getElementById('message');
const expr = document.getElementById('expr');
const MAX_ROWS = 500;

const say = (text, bad) => { message.textContent = text; message.className = bad ? 'bad' : ''; };

async function ask(path) {
  const answer = await fetch(base + path);
  if (answer.status === 503) throw new Error('the server is not ready yet, or busy');
  const body = await answer.json();
  if (body.status !== 'success') throw new Error(body.error);
  return body;
}

function fill(id, rows) {
  const body = document.querySelector('#' + id + ' tbody');
  body.replaceChildren(...rows.map((cells) => {
    const row = document.createElement('tr');
    for (const cell of cells) {
      const td = row.insertCell();
      td.textContent = cell.text ?? cell;
      if (cell.kind) td.className = cell.kind;
    }
    return row;
  }));
}

function seriesName({ __name__: name = '', ...labels }) {
  const pairs = Object.entries(labels).map(([k, v]) => k + '=' + JSON.stringify(v));
  return name + (pairs.length > 0 || name === '' ? '{' + pairs.join(', ') + '}' : '');
}

function rowsOf({ resultType, result }) {
  if (resultType === 'scalar' || resultType === 'string') return [[resultType, result[1]]];
  return result.slice(0, MAX_ROWS).map((series) => [
    seriesName(series.metric),
    series.value ? series.value[1]
      : series.values ? series.values.map(([t, v]) => v + ' @' + t).join('\\n')
      : JSON.stringify(series.histogram ?? series.histograms),
  ]);
}

async function run() {
  const started = performance.now();
  say('…');
  try {
    const { data, warnings = [], infos = [] } = await ask('/api/v1/query?query=' + encodeURIComponent(expr.value));
    fill('result', rowsOf(data));
    const count = Array.isArray(data.result) && data.resultType !== 'scalar' && data.resultType !== 'string' ? data.result.length : 1;
    say([count + ' series in ' + Math.round(performance.now() - started) + ' ms', ...warnings, ...infos].join(' · '));
  } catch (error) {
    fill('result', []);
    say(error.message, true);
  }
}

async function showTargets() {
  try {
    const { data } = await ask('/api/v1/targets?state=active');
    fill('targets', data.activeTargets.map((t) => [
      t.scrapePool, t.scrapeUrl, { text: t.health, kind: t.health },
      t.lastScrape.startsWith('0001') ? 'never' : new Date(t.lastScrape).toLocaleTimeString(),
      Math.round(t.lastScrapeDuration * 1e4) / 10 + ' ms', t.lastError,
    ]));
  } catch { /* shown again in five seconds */ }
}

if (expr) {
  document.getElementById('query').addEventListener('submit', (event) => {
    event.preventDefault();
    history.replaceState(null, '', '?expr=' + encodeURIComponent(expr.value));
    run();
  });
  const params = new URLSearchParams(location.search);
  expr.value = params.get('expr') ?? params.get('g0.expr') ?? expr.value;
  run();
}
showTargets();
setInterval(showTargets, 5000);
`;
