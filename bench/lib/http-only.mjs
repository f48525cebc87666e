/**
 * What Node's HTTP layer costs by itself: a server made of what ours is made of, which reads bodies in pieces, drops them
 * and answers 204. Usage: http-only.mjs PORT
 */
import fastify from 'fastify';

const app = fastify({ logger: false });
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', async (_request, payload) => {
  const pieces = [];
  for await (const piece of payload) pieces.push(piece);
  return pieces;
});
app.get('/-/ready', async () => 'ready');
app.post('/*', async (_request, reply) => reply.code(204).send());
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) });
process.once('SIGTERM', () => process.exit(0));
