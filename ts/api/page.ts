/** `/`: one page with a query box, the targets and links, until the web UI comes; an agent's, at `/agent`, has no query box. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiContext } from './context.ts';
import { PAGE_SCRIPT, PAGE_STYLE } from './page-assets.ts';
import { sendBytes } from './respond.ts';

/** Not an agent's. */
const DATABASE = '/api/v1/status/tsdb';

const LINKS: [path: string, label: string][] = [
  ['/api/v1/targets', 'targets'],
  ['/api/v1/status/config', 'configuration'],
  ['/api/v1/status/flags', 'flags'],
  [DATABASE, 'database'],
  ['/api/v1/status/runtimeinfo', 'runtime'],
  ['/api/v1/status/buildinfo', 'build'],
  ['/metrics', 'metrics'],
];

const QUERY_FORM = `<form id="query">
<label for="expr">PromQL</label>
<input id="expr" name="expr" spellcheck="false" autocomplete="off" autofocus value="up">
<button>Run</button>
</form>
<p id="message" role="status"></p>
<table id="result"><thead><tr><th>Series</th><th>Value</th></tr></thead><tbody></tbody></table>`;

const AGENT_NOTE =
  '<p>This server is an agent: it scrapes, receives and sends on by remote write. What it has sent can be queried there.</p>';

export function pageRoutes(app: FastifyInstance, context: ApiContext): void {
  const html = page(context);
  const show = async (request: FastifyRequest, reply: FastifyReply) => {
    reply.header(
      'content-security-policy',
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
    );
    return sendBytes(request, reply, 'text/html; charset=utf-8', html);
  };
  if (context.options.isAgent) {
    app.get('/', async (_request, reply) => reply.redirect(`${basePath(context)}/agent`, 302));
    app.get('/agent', show);
  } else {
    app.get('/', show);
    app.get('/query', show);
  }
  app.get('/graph', async (request, reply) => {
    const query = request.url.split('?', 2)[1];
    return reply.redirect(`${basePath(context)}/query${query === undefined ? '' : `?${query}`}`, 302);
  });
}

function basePath(context: ApiContext): string {
  return context.options.externalUrl.pathname.replace(/\/$/, '');
}

function page(context: ApiContext): string {
  const base = basePath(context);
  const isAgent = context.options.isAgent;
  const known = LINKS.filter(([path]) => !isAgent || path !== DATABASE);
  const links = known.map(([path, label]) => `<a href="${escapeHtml(base + path)}">${label}</a>`).join('\n');
  return `<!doctype html>
<html lang="en" data-base="${escapeHtml(base)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(context.options.pageTitle)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<header><h1>Narthex${isAgent ? ' Agent' : ''} <small>${escapeHtml(context.buildInfo.narthexVersion)}</small></h1><nav>${links}</nav></header>
<main>
${isAgent ? AGENT_NOTE : QUERY_FORM}
<h2>Targets</h2>
<table id="targets"><thead><tr><th>Pool</th><th>Endpoint</th><th>State</th><th>Last scrape</th><th>Took</th><th>Error</th></tr></thead><tbody></tbody></table>
</main>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
