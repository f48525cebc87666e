/** /api/v1/admin/tsdb/*: deleting series, cleaning up after that, and copies of the data. */

import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Engine } from '../core/engine.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './errors.ts';
import { type Form, formOf } from './form.ts';
import { guarded, list, openEnd, openStart, parseGoBool, readParams } from './params.ts';
import { named } from './query.ts';
import { sendData, vary } from './respond.ts';
import { engineOf } from './route.ts';

const DELETE_SPEC = { 'match[]': list, start: openStart, end: openEnd };

/** What a call answers: data, or nothing. */
type AdminCall = (engine: Engine, form: Form) => Promise<object | undefined>;

export function adminRoutes(app: FastifyInstance, context: ApiContext): void {
  const calls: Record<string, AdminCall> = {
    delete_series: deleteSeries,
    clean_tombstones: async (engine) => {
      await own(() => engine.cleanTombstones());
      return undefined;
    },
    snapshot: (engine, form) => snapshot(engine, form, context.clock.nowMs()),
  };
  for (const [name, call] of Object.entries(calls)) {
    app.route({
      method: ['POST', 'PUT'],
      url: `/admin/tsdb/${name}`,
      handler: (request, reply) => answer(context, call, request, reply),
    });
  }
}

async function answer(
  context: ApiContext,
  call: AdminCall,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (!context.options.enableAdminApi) throw new ApiError('unavailable', 'admin APIs disabled');
  const data = await call(engineOf(context), formOf(request));
  if (data !== undefined) return sendData(request, reply, data);
  vary(reply, 'Accept-Encoding');
  return reply.code(204).send();
}

async function deleteSeries(engine: Engine, form: Form): Promise<undefined> {
  if (form.all('match[]').length === 0) throw ApiError.badData('no match[] parameter provided');
  const { 'match[]': match, start, end } = readParams(DELETE_SPEC, form);
  await own(() => named('match[]', () => engine.deleteSeries({ match, startMs: start, endMs: end })));
  return undefined;
}

async function snapshot(engine: Engine, form: Form, nowMs: number): Promise<{ name: string }> {
  const value = form.get('skip_head');
  const skipHead = value !== '' && guarded('skip_head', () => parseGoBool(value), 'unable to parse boolean: ');
  const name = snapshotName(nowMs, randomBytes(8));
  await own(() => engine.snapshot(name, !skipHead), 'create snapshot: ');
  return { name };
}

/** `20260101T000000Z-0123456789abcdef`: the second, and 63 random bits. */
export function snapshotName(nowMs: number, random: Buffer): string {
  const second = `${new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
  const bits = random.readBigUInt64BE() >> 1n;
  return `${second}-${bits.toString(16).padStart(16, '0')}`;
}

/** What fails is the server's own fault, whatever the engine calls it; a bad parameter stays one. */
async function own(call: () => Promise<void>, prefix = ''): Promise<void> {
  try {
    await call();
  } catch (thrown) {
    const error = ApiError.from(thrown);
    if (thrown instanceof ApiError || error.errorType === 'unavailable') throw error;
    throw new ApiError('internal', prefix + error.message, { cause: thrown });
  }
}
