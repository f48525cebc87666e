/**
 * Long bodies on their way to a socket. They go through buffers that are used again: buffers made for each piece would be
 * garbage of many megabytes a second, and V8's collector would take longer than the query.
 */
import type { ServerResponse } from 'node:http';
import type { Body } from '../core/engine.ts';

const PIECE_BYTES = 256 * 1024;

/** Pieces of one body that are under way at once. */
const UNDER_WAY_MAX = 2;

/** Buffers that are kept for the next body. */
const KEPT_MAX = 4;

const kept: Buffer[] = [];

function keep(buffer: Buffer): void {
  if (kept.length < KEPT_MAX) kept.push(buffer);
}

/** Writes all of `body`, never more than two pieces ahead of the client, and ends `response`. */
export function writePieces(response: ServerResponse, body: Body): void {
  let underWay = 0;
  let isDone = false;
  const end = () => {
    isDone = true;
    body.free();
  };
  // A client that went away leaves most of its answer behind.
  response.once('close', end);
  const fill = () => {
    while (!isDone && underWay < UNDER_WAY_MAX) {
      const buffer = kept.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
      const length = body.read(buffer);
      if (length === 0) {
        keep(buffer);
        end();
        response.end();
        return;
      }
      underWay += 1;
      response.write(length < buffer.length ? buffer.subarray(0, length) : buffer, (error) => {
        underWay -= 1;
        // After a failure nobody knows who still reads the buffer.
        if (error) return;
        keep(buffer);
        fill();
      });
    }
  };
  fill();
}
